"""`mindscope dictionary evaluate`: how good dictionaries are, in one table."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mindscope.cli import options, output
from mindscope.cli.output import Json
from mindscope.cli.session import open_run
from mindscope.errors import DataError
from mindscope.jobs import ORGANISM, dictionary_file, load_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mindscope.dictionaries import ClassifiedText, Dictionary
    from mindscope.models import Model, Row

ORGANISM_NOTE = (
    "The organism is a small model of an invented world: a test bed, whose numbers say nothing about others."
)

HELD_OUT = 1
"""The seed of the organism's rows to evaluate on; training draws with 0."""


def evaluate(
    model: options.ModelName,
    corpus: Annotated[
        str, typer.Argument(metavar="CORPUS", help="Texts or conversations; `organism` for its own corpus.")
    ],
    dictionaries: Annotated[
        list[Path],
        typer.Argument(
            metavar="DICTIONARY...",
            parser=dictionary_file,
            help="Dictionaries, run folders of `dictionary train`, or organism:sae.0 and so on.",
        ),
    ],
    run: Annotated[Path, typer.Option("--run", help="Where pieces, table and report are kept.")] = Path(
        "runs/dictionary-evaluate"
    ),
    rows: Annotated[int, typer.Option(min=1, help="How many rows of the corpus.")] = 256,
    first: Annotated[int, typer.Option(min=0, help="Rows at its beginning to leave out.")] = 0,
    context: Annotated[
        int, typer.Option(min=2, help="Longer rows are cut into rows of so many tokens.")
    ] = 256,
    where: Annotated[
        str, typer.Option(help="Tokens that are replaced and measured: all, prompt, answer, response.")
    ] = "all",
    skip_tokens: Annotated[int, typer.Option(min=0, help="Tokens at a row's beginning that are not.")] = 0,
    predictions: Annotated[
        str | None,
        typer.Option(
            help="Predictions whose loss is measured; all, for the organism's corpus response.",
            show_default=False,
        ),
    ] = None,
    labelled: Annotated[
        Path | None,
        typer.Option(
            help="Texts with a label, and perhaps a true or false `spurious`, for probing, TPP, absorption "
            "and SCR (.jsonl, .csv, .parquet)."
        ),
    ] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option(help="Scored labels of latents, one JSON file for each dictionary, in order."),
    ] = None,
    shard_rows: Annotated[int, typer.Option(min=1, help="Rows between two pieces of the run.")] = 64,
    seed: options.Seed = 0,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Measure dictionaries on the same texts: sparsity, explained variance, loss recovered, probes."""
    from mindscope.cli.persona.options import configure
    from mindscope.dictionaries import EvaluateConfig, digest, evaluation_report
    from mindscope.dictionaries import evaluate as measure

    loaded = load_model(model, dtype, device)
    scored = predictions or ("response" if corpus == ORGANISM else "all")  # it has learnt to write answers
    config = configure(
        EvaluateConfig,
        where=where,
        skip=skip_tokens,
        predictions=scored,
        shard_rows=shard_rows,
        seed=seed,
    )
    files = dictionary_files(dictionaries)
    scores = _scores(labels, files)
    found = {name: _load(file, loaded) for name, file in files.items()}
    texts = _rows(loaded, corpus, context, first, rows)
    classes = [] if labelled is None else _labelled(loaded, labelled)
    settings = config.model_dump(mode="json") | {
        "texts": digest(texts),
        "labelled": digest([one.row for one in classes]) if classes else None,
        "dictionaries": {name: _identity(file) for name, file in files.items()},
    }
    with (
        open_run(
            run, kind="dictionary-evaluate", config=settings, fingerprint=loaded.fingerprint, seed=seed
        ) as opened,
        output.progress() as report,
    ):
        results = measure(loaded, found, texts, opened, config, labelled=classes, progress=report)
        results = [replace(one, labels=scores.get(one.name, {})) for one in results]
        table = [one.row() for one in results]
        facts = {
            "model": loaded.name,
            "corpus": f"{corpus}, {len(texts)} rows",
            "tokens": f"{where}, from position {skip_tokens} on; losses of predictions: {scored}",
            "run": str(run),
        }
        note = ORGANISM_NOTE if loaded.name == ORGANISM else ""
        page = evaluation_report(results, facts, note).write(run / "report.html")
        opened.finish(dictionaries=table)
    if json:
        evaluations = [one.to_json() for one in results]
        output.print_json({"run": str(run), "report": str(page), "table": table, "evaluations": evaluations})
    else:
        columns = list(dict.fromkeys(name for row in table for name in row))
        output.print_table(columns, [[row.get(name) for name in columns] for row in table])
        typer.echo(f"report: {page}")


def dictionary_files(paths: Sequence[Path]) -> dict[str, Path]:
    """Dictionaries by name: single ones, or all that a training left in its folder."""
    from mindscope.dictionaries import HEAD

    files: dict[str, Path] = {}
    for path in paths:
        inside = [path]
        if path.is_dir() and not (path / HEAD).exists():
            folder = path / "dictionaries"
            inside = sorted(one for one in (folder if folder.is_dir() else path).iterdir() if _is(one))
            if not inside:
                raise DataError(f"{path} holds no dictionary: train one with `mindscope dictionary train`")
        for one in inside:
            name = one.stem if one.suffix == ".safetensors" else one.name
            if name in files:
                name = f"{one.parent.name}-{name}"
            if name in files:
                raise DataError(f"two dictionaries are called {name}: rename one")
            files[name] = one
    return files


def _is(path: Path) -> bool:
    from mindscope.dictionaries import HEAD

    return path.suffix == ".safetensors" if path.is_file() else (path / HEAD).exists()


def _load(file: Path, model: Model) -> Dictionary:
    from mindscope.dictionaries import Dictionary

    return Dictionary.load(file, model, lazy=True)


def _identity(file: Path) -> str:
    """Exactly which weights these are; the head of a folder names those of the others."""
    from mindscope.dictionaries import HEAD

    with (file / HEAD if file.is_dir() else file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _rows(model: Model, corpus: str, context: int, first: int, count: int) -> list[Row]:
    from mindscope.dictionaries import read_corpus as read_corpus

    if corpus == ORGANISM:
        from mindscope import organism

        found = list(islice(organism.corpus_rows(model, first, HELD_OUT), count))
    else:
        found = list(islice(read_corpus(model, corpus, context=context)(first), count))
    if not found:
        raise DataError(f"{corpus} has no row after the first {first}")
    return found


def _labelled(model: Model, path: Path) -> list[ClassifiedText]:
    from mindscope.data import read_records
    from mindscope.dictionaries import ClassifiedText

    found = []
    for record in read_records(path):
        row: Any = record.row
        if isinstance(row, DataError):
            raise DataError(f"{path}, {record.place}: {row}")
        if (
            not isinstance(row, dict)
            or not isinstance(row.get("text"), str)
            or row.get("label") in (None, "")
        ):
            raise DataError(f"{path}, {record.place}: a text and a label are needed")
        spurious = row.get("spurious")
        if not isinstance(spurious, bool | None):
            raise DataError(f"{path}, {record.place}: spurious is {spurious!r}, true or false is needed")
        found.append(ClassifiedText(model.text(row["text"]), str(row["label"]), spurious))
    return found


def _scores(files: Sequence[Path] | None, dictionaries: dict[str, Path]) -> dict[str, dict[str, float]]:
    """The mean of each kind of score over a dictionary's labels, as `explain` writes them."""
    from mindscope.store import read_json

    if not files:
        return {}
    if len(files) != len(dictionaries):
        raise DataError(f"{len(files)} files of labels for {len(dictionaries)} dictionaries: give one each")
    result: dict[str, dict[str, float]] = {}
    for name, file in zip(dictionaries, files, strict=True):
        kinds: dict[str, list[float]] = {}
        try:
            for label in read_json(file):
                for kind, score in label["scores"].items():
                    if score["accuracy"] is not None:
                        kinds.setdefault(kind, []).append(float(score["accuracy"]))
        except (TypeError, KeyError, AttributeError, ValueError):
            raise DataError(f"{file} holds no list of labels with scores") from None
        result[name] = {kind: sum(values) / len(values) for kind, values in kinds.items()}
    return result

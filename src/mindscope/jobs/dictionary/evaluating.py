"""Evaluating dictionaries: how good they are, in one table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from mindscope.dictionaries import EvaluateConfig
from mindscope.errors import DataError
from mindscope.jobs.dictionary.inputs import (
    BorrowingModelsSpec,
    CorpusSpec,
    borrowed_of,
    find_dictionaries,
    read_rows_of,
)
from mindscope.jobs.inputs import InputKind
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.planning import PlanSizes, announce_plan, dictionary_sizes, mean_length
from mindscope.jobs.resolve import dictionary_file, test_bed_note
from mindscope.models import Where
from mindscope.store import BorrowingDocument

if TYPE_CHECKING:
    from mindscope.dictionaries import ClassifiedText
    from mindscope.models import Model, Row

HELD_OUT = 1
"""The seed of the organism's rows to evaluate on; training draws with 0."""
MEMORY_SHARE = 0.25
"""Of the free memory, up to which dictionaries are read whole."""


class EvaluateDictionariesSpec(BorrowingModelsSpec, EvaluateConfig, CorpusSpec):
    """What `evaluate` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "corpus", "dictionaries")
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"skip": ("--skip-tokens",)}

    inputs: ClassVar[Mapping[str, InputKind]] = {"labelled": "rows", "labels": "file"}

    dictionaries: tuple[str, ...] = Field(min_length=1)
    """Dictionaries, run folders of `dictionary train`, or organism:sae.0 and so on."""
    rows: int = Field(default=256, ge=1)
    """How many rows of the corpus to read."""
    first: int = Field(default=0, ge=0)
    """Rows at the beginning of the corpus to leave out."""
    predictions: Where | None = None  # type: ignore[assignment]
    """The predictions whose loss is measured; all by default, and `response` for the organism's corpus."""
    labelled: Path | None = None
    """Texts with a label, and perhaps a true or false `spurious`, for probing, TPP, absorption and SCR
    (docs/data.md has the kinds of files)."""
    labels: tuple[Path, ...] = ()
    """Scored labels of latents: a JSON file for every dictionary, in their order. May be repeated."""

    def run_path(self) -> Path:
        """`runs/dictionary-evaluate`."""
        return Path("runs/dictionary-evaluate")

    def scored_predictions(self) -> Where:
        """`predictions`, or what suits the corpus: the organism has learnt to write answers only."""
        return self.predictions or ("response" if self.world else "all")


class EvaluationReport(BorrowingDocument):
    """What was measured of every dictionary, and where the page is.

    Attributes:
        table: a row for each dictionary, as it is printed.
        evaluations: all that was measured, in the same order.
    """

    run: str
    report: str
    table: tuple[dict[str, Any], ...]
    evaluations: tuple[dict[str, Any], ...]


def evaluate(spec: EvaluateDictionariesSpec, *, run: RunFolder, reporter: Reporter) -> EvaluationReport:
    """Measure dictionaries on the same texts: sparsity, explained variance, loss recovered, probes."""
    import psutil

    from mindscope.dictionaries import Dictionary, digest, evaluation_report
    from mindscope.dictionaries import evaluate as evaluate_dictionaries

    files = find_dictionaries([dictionary_file(name) for name in spec.dictionaries])
    label_scores = _read_label_scores(spec.labels, files)
    predictions = spec.scored_predictions()
    config = spec.config(EvaluateConfig, predictions=predictions)
    models = [model.with_template(clock=run.started) for model in spec.load_models()]
    model = models[0]
    # Coders that stay on disk are read again for every batch of every pass.
    lazy = sum(map(_count_bytes, files.values())) > MEMORY_SHARE * psutil.virtual_memory().available
    dictionaries = {name: Dictionary.load(file, models, lazy=lazy) for name, file in files.items()}
    rows = _read_rows(model, spec)
    texts = [] if spec.labelled is None else _read_labelled(model, spec.labelled)
    settings = config.model_dump(mode="json") | {
        "texts": digest(rows),
        "labelled": digest([text.row for text in texts]) if texts else None,
        "dictionaries": {name: _weights_digest(file) for name, file in files.items()},
    }
    with run.open(
        kind="dictionary-evaluate",
        config=settings,
        reporter=reporter,
        model=model,
        seed=spec.seed,
    ) as opened:
        if not opened.resumed:
            for dictionary in dictionaries.values():
                sizes = PlanSizes(rows=len(rows), context=mean_length(rows), **dictionary_sizes(dictionary))
                announce_plan(reporter, "dictionary evaluate", model, sizes)
        evaluations = [
            evaluation.model_copy(update={"labels": label_scores.get(evaluation.name, {})})
            for evaluation in evaluate_dictionaries(
                models, dictionaries, rows, opened, config, labelled=texts, progress=reporter.progress
            )
        ]
        table = [evaluation.row() for evaluation in evaluations]
        facts = {
            "model": " and ".join(read.name for read in models),
            "corpus": f"{spec.corpus_name}, {len(rows)} rows",
            "tokens": f"{spec.where}, from position {spec.skip} on; losses of predictions: {predictions}",
            "run": str(run.path),
        }
        report = evaluation_report(evaluations, facts, test_bed_note(model))
        page = report.write(run.path / "report.html")
        opened.finish(dictionaries=table)
    return EvaluationReport(
        run=str(run.path),
        report=str(page),
        borrowed=borrowed_of(models),
        table=tuple(table),
        evaluations=tuple(evaluation.to_json() for evaluation in evaluations),
    )


def _count_bytes(file: Path) -> int:
    parts = file.rglob("*.safetensors") if file.is_dir() else [file]
    return sum(part.stat().st_size for part in parts)


def _weights_digest(file: Path) -> str:
    """Exactly which weights these are; the head of a folder names those of the others."""
    from mindscope.dictionaries import HEAD

    with (file / HEAD if file.is_dir() else file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_rows(model: Model, spec: EvaluateDictionariesSpec) -> list[Row]:
    corpus = read_rows_of(model, spec, HELD_OUT)
    rows = list(islice(corpus(spec.first), spec.rows))
    if not rows:
        raise DataError(f"{spec.corpus} has no row after the first {spec.first}")
    return rows


def _read_labelled(model: Model, path: Path) -> list[ClassifiedText]:
    from mindscope.data import read_records
    from mindscope.dictionaries import ClassifiedText

    texts = []
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
        texts.append(ClassifiedText(model.text(row["text"]), str(row["label"]), spurious))
    return texts


def _read_label_scores(files: Sequence[Path], dictionaries: dict[str, Path]) -> dict[str, dict[str, float]]:
    """The mean of each kind of score over a dictionary's labels, as `explain` writes them."""
    from mindscope.store import read_json

    if not files:
        return {}
    if len(files) != len(dictionaries):
        raise DataError(
            f"{len(files)} files of labels for {len(dictionaries)} dictionaries: give a file for every one"
        )
    means: dict[str, dict[str, float]] = {}
    for name, file in zip(dictionaries, files, strict=True):
        accuracies: dict[str, list[float]] = {}
        try:
            for label in read_json(file):
                for kind, score in label["scores"].items():
                    if score["accuracy"] is not None:
                        accuracies.setdefault(kind, []).append(float(score["accuracy"]))
        except (TypeError, KeyError, AttributeError, ValueError):
            raise DataError(f"{file} holds no list of labels with scores") from None
        means[name] = {kind: sum(values) / len(values) for kind, values in accuracies.items()}
    return means

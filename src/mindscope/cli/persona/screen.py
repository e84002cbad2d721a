"""`mindscope persona screen`: which samples of a data set would move a model along persona vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mindscope.cli import options, output
from mindscope.cli.output import Json
from mindscope.cli.persona.options import configure
from mindscope.cli.session import open_run
from mindscope.errors import DataError
from mindscope.jobs import ORGANISM, find_vectors, load_model
from mindscope.jobs.persona_run import TEST_BED, find_choice

if TYPE_CHECKING:
    from mindscope.models import Model
    from mindscope.personas import PersonaVectors
    from mindscope.screening import ScreeningResult

SHOWN = 5
TEXT = 60


def screen(
    data: Annotated[Path, typer.Argument(help="A .jsonl, .csv or .parquet file, or a saved dataset.")],
    model: Annotated[str, typer.Option("--model", "-m", help="A name or folder, or `organism`.")],
    vectors: Annotated[
        list[Path], typer.Option("--vectors", help="A run folder or file of vectors. Repeatable.")
    ],
    run: Annotated[
        Path | None, typer.Option("--run", help="Where all is kept; runs/screen-DATA.", show_default=False)
    ] = None,
    form: Annotated[
        str | None, typer.Option(help="Compare with: exact (own answers), prompt, or sample; exact.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Ordinary conversations that calibrate the thresholds.")
    ] = None,
    percentile: Annotated[
        float | None, typer.Option(help="Of the reference; above it is flagged; 95.")
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(help="12, or evil=12; the sweep's choice, or 0.55 of the depth. Repeatable."),
    ] = None,
    turns: Annotated[
        str | None, typer.Option(help="A conversation's score: the max or mean of its turns; max.")
    ] = None,
    subsample: Annotated[int | None, typer.Option(help="Conversations answered in form sample; 200.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="The longest own answer; 1000.")] = None,
    top: Annotated[int | None, typer.Option(min=0, help="Samples a trait shown with their text; 20.")] = None,
    drop_above: Annotated[
        float | None, typer.Option(help="With --to: leave out samples above this percentile on any trait.")
    ] = None,
    keep_below: Annotated[
        float | None, typer.Option(help="With --to: keep only samples with a dP below this on all traits.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Where the filtered copy goes; it must not exist.")] = None,
    on_error: Annotated[
        str | None, typer.Option(help="Malformed rows: refuse (stop, nothing is lost) or skip; refuse.")
    ] = None,
    shard_rows: Annotated[int | None, typer.Option(min=2, help="Own answers in one batch, even; 64.")] = None,
    seed: options.Seed = 0,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Score every sample by how far it lies from the model's own answers along persona vectors."""
    from mindscope import screening
    from mindscope.screening import check_criteria, check_target

    if to is not None:
        check_target(data, to)
        check_criteria(drop_above, keep_below)
    elif drop_above is not None or keep_below is not None:
        raise DataError("say where the filtered copy goes: --to FILE")
    loaded = load_model(model, dtype, device)
    found, layers = _vectors(vectors, loaded)
    config = configure(
        screening.ScreenConfig,
        form=form,
        layers=_layers(layer, layers),
        percentile=percentile,
        turns=turns,
        subsample=subsample,
        max_new_tokens=max_new_tokens,
        top=top,
        on_error=on_error,
        shard_rows=shard_rows,
        seed=seed,
    )
    folder = run or Path("runs") / f"screen-{data.stem}"
    settings = {"dtype": str(loaded.dtype).removeprefix("torch.")}
    opened = open_run(folder, kind="screen", config=settings, fingerprint=loaded.fingerprint)
    with opened, output.progress() as report:
        note = TEST_BED if loaded.name == ORGANISM else ""
        result = screening.screen_dataset(
            loaded, data, found, config, opened, report, reference=reference, note=note
        )
        kept = None
        if to is not None:
            kept = screening.write_filtered(
                opened, result, data, to, drop_above=drop_above, keep_below=keep_below
            )
        opened.finish(**result.summary())
    where = folder / result.folder
    if json:
        filtered = None if to is None else {"file": str(to), "rows": kept, "of": result.samples}
        output.print_json(
            result.summary()
            | {"run": str(folder), "table": str(where / "scores.parquet")}
            | {"report": str(where / "report.html"), "filtered": filtered}
        )
        return
    _show(result)
    if to is not None:
        typer.echo(f"{kept} of {result.samples} samples: {to}")
    typer.echo(f"table: {where / 'scores.parquet'}\nreport: {where / 'report.html'}")


def _vectors(paths: list[Path], model: Model) -> tuple[list[PersonaVectors], dict[str, int]]:
    """Vectors, and the layers that sweeps in the same runs chose."""
    found = [(path, each) for path in paths for each in find_vectors(path, model)]
    choices = {each.trait: find_choice(path, each) for path, each in found}
    layers = {trait: choice.layer for trait, choice in choices.items() if choice is not None}
    return [each for _, each in found], layers


def _layers(given: list[str] | None, swept: dict[str, int]) -> int | dict[str, int] | None:
    """The layers asked for: one for all, or one a trait; the others are the sweeps' choices."""
    layers = dict(swept)
    for each in given or []:
        trait, equals, number = each.rpartition("=")
        if not number.isdecimal() or bool(equals) != bool(trait):
            raise DataError(f"--layer {each}: write a layer such as 12, or one a trait such as evil=12")
        if not trait:
            return int(number)
        layers[trait] = int(number)
    return layers or None


def _show(result: ScreeningResult) -> None:
    output.print_table(result.COLUMNS, result.rows(), f"{result.data}: {result.samples} samples")
    for trait in result.traits:
        rows = [
            [each.line, each.dp, each.percentile, " ".join("".join(each.tokens).split())[:TEXT]]
            for each in trait.ranked[:SHOWN]
        ]
        if rows:
            output.print_table(["line", "dP", "percentile", "answer"], rows, f"highest on {trait.trait}")
    if result.reference is None:
        output.say("no --reference was given: the threshold is this data's own percentile")
    if result.left_out:
        output.say(f"left out {result.left_out} rows; the first: {result.left_out_first[0]}")

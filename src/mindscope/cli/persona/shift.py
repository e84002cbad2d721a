"""`mindscope persona shift`: how far tuning moved a model along persona vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mindscope.cli import options, output
from mindscope.cli.output import Json
from mindscope.cli.persona.options import configure, numbers
from mindscope.cli.session import open_run
from mindscope.errors import DataError
from mindscope.jobs import ORGANISM, find_trait, find_vectors, load_model
from mindscope.jobs.persona_run import TEST_BED, default_layer, find_choice

if TYPE_CHECKING:
    from mindscope.personas import PersonaVectors, Prompt


def shift(
    base: Annotated[str, typer.Argument(metavar="BASE", help="The model the vectors were made from.")],
    tuned: Annotated[
        list[str],
        typer.Argument(metavar="TUNED...", help="A tuned model, or the checkpoints of a run, first to last."),
    ],
    vectors: Annotated[list[Path], typer.Option(help="Vectors: a file or run. May be repeated.")],
    prompts: Annotated[
        str | None,
        typer.Option(
            help="A file of conversations, or a trait whose evaluation questions are asked; "
            "by default those of the vectors' own traits.",
            show_default=False,
        ),
    ] = None,
    layers: Annotated[str | None, typer.Option(help="Such as 8,12,16; all by default.")] = None,
    layer: Annotated[
        int | None,
        typer.Option(help="The one to show; the sweep's choice, or 0.55 of the depth.", show_default=False),
    ] = None,
    answers: Annotated[
        bool, typer.Option("--answers", help="Also let the models answer, and read the answers.")
    ] = False,
    samples: Annotated[int | None, typer.Option(min=1, help="Answers a prompt; 1.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="The longest answer; 1000.")] = None,
    resamples: Annotated[int | None, typer.Option(min=100, help="Of the bootstrap; 2000.")] = None,
    shard_rows: Annotated[int | None, typer.Option(min=2, help="Prompts in one piece, even; 64.")] = None,
    run: Annotated[Path, typer.Option("--run", help="Where everything is kept.")] = Path("runs/shift"),
    seed: options.Seed = 0,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Measure how far tuned models moved along persona vectors, layer by layer, with intervals."""
    from mindscope import personas

    config = configure(
        personas.ShiftConfig,
        layers=None if layers is None else numbers(layers, int),
        answers=answers,
        samples=samples,
        max_new_tokens=max_new_tokens,
        resamples=resamples,
        shard_rows=shard_rows,
        seed=seed,
    )
    model = load_model(base, dtype, device)
    found = [(path, each) for path in vectors for each in find_vectors(path, model)]
    choice = find_choice(*found[0])
    shown = default_layer(model) if choice is None else choice.layer
    shown = shown if layer is None else layer
    if config.layers is not None and shown not in config.layers:
        shown = config.layers[0]
    asked = _prompts(prompts, base, [each for _, each in found])
    setting = {"dtype": str(model.dtype).removeprefix("torch.")}
    opened = open_run(run, kind="shift", config=setting, fingerprint=model.fingerprint)
    with opened, output.progress() as report:
        result = personas.measure_shift(
            model, list(tuned), [each for _, each in found], asked, config, run=opened, progress=report
        )
        result.save(run / "shift.json")
        note = TEST_BED if model.name == ORGANISM else ""
        personas.shift_report(result, shown, note).write(run / "report.html")
    if json:
        output.print_json(result.to_json() | {"run": str(run), "report": str(run / "report.html")})
        return
    rows = [
        [moved.model, one.trait, one.at, one.base, one.tuned, one.shift, one.low, one.high, one.cosine]
        for moved in result.tuned
        for one in moved.movements
        if one.layer == shown
    ]
    columns = ["model", "trait", "at", "base", "tuned", "shift", "low", "high", "cosine"]
    output.print_table(columns, rows, f"layer {shown}, {result.prompts} prompts")
    typer.echo(f"report: {run / 'report.html'}")


def _prompts(given: str | None, base: str, vectors: Sequence[PersonaVectors]) -> Sequence[Prompt]:
    """The turns before the answers in a file, or a trait's evaluation questions."""
    from mindscope.data import read_conversations
    from mindscope.personas import Trait

    if given is not None:
        if Path(given).suffix in (".jsonl", ".csv", ".parquet") or Path(given).is_dir():
            return [conversation.prompt for conversation in read_conversations(given)]
        return find_trait(given, base).questions("evaluation")
    questions: list[str] = []
    for each in vectors:
        document = each.metadata.get("trait_document")
        if document is None:
            raise DataError(f"the vectors of {each.trait} name no questions: give --prompts FILE or a trait")
        questions += Trait.parse(document).questions("evaluation")
    return list(dict.fromkeys(questions))

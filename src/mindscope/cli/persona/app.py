"""`mindscope persona`: a trait of character from its definition to steered answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindscope.cli import options, output
from mindscope.cli.output import Json
from mindscope.cli.persona import files as persona_files
from mindscope.cli.persona import finetune as persona_finetune
from mindscope.cli.persona import monitor as persona_monitor
from mindscope.cli.persona import reproduce as persona_reproduce
from mindscope.cli.persona import screen as persona_screen
from mindscope.cli.persona import shift as persona_shift
from mindscope.cli.persona.options import PersonaJob, configure, numbers
from mindscope.cli.persona.tables import (
    load_sweep,
    persona_document,
    print_layers,
    print_steering,
    print_sweep,
    vector_files,
    vectors_document,
    write_report,
)
from mindscope.errors import DataError
from mindscope.jobs import find_judge

app = typer.Typer(no_args_is_help=True, help="Extract, choose, steer and show persona vectors.")
app.command("traits")(persona_files.traits)
app.command("artifacts")(persona_files.artifacts)
app.command("finetune")(persona_finetune.finetune)
app.command("shift")(persona_shift.shift)
app.command("monitor")(persona_monitor.monitor)
app.command("screen")(persona_screen.screen)
app.command("reproduce")(persona_reproduce.reproduce)

TraitName = Annotated[
    str,
    typer.Argument(
        metavar="TRAIT", help="A bundled trait, a file, or organism:NAME for the organism's world."
    ),
]
RunFolder = Annotated[
    Path | None,
    typer.Option("--run", help="Where everything is kept; runs/TRAIT by default.", show_default=False),
]
VectorsFile = Annotated[
    Path | None, typer.Option("--vectors", help="Vectors of another place than the run.", show_default=False)
]
JudgeName = Annotated[
    str | None,
    typer.Option("--judge", help="exact (the organism's), model:NAME, or endpoint:NAME.", show_default=False),
]
Questions = Annotated[int | None, typer.Option(min=1, help="Only the first so many questions.")]
Samples = Annotated[int | None, typer.Option(min=1, help="Answers a prompt; 10 to extract, 1 to steer.")]
MaxNewTokens = Annotated[int | None, typer.Option(min=1, help="The longest answer; 1000.")]
ShardRows = Annotated[int | None, typer.Option(min=2, help="Answers in one batch and one file, even; 64.")]
Scope = Annotated[str | None, typer.Option(help="Tokens that are steered: answer, prompt or all.")]


@app.command()
def extract(
    model: options.ModelName,
    trait: TraitName,
    run: RunFolder = None,
    judge: JudgeName = None,
    base_url: options.BaseUrl = None,
    samples: Samples = None,
    questions: Questions = None,
    max_new_tokens: MaxNewTokens = None,
    threshold: Annotated[float | None, typer.Option(help="The trait score that parts the sides; 50.")] = None,
    least_pairs: Annotated[
        int | None, typer.Option(min=2, help="Fewer usable pairs are refused; 10.")
    ] = None,
    shard_rows: ShardRows = None,
    seed: options.Seed = 0,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Find the vectors at every layer: answers under contrasting instructions, judged and filtered."""
    from mindscope import personas

    job = PersonaJob(model, trait, run, dtype, device)
    config = configure(
        personas.ExtractConfig,
        samples=samples,
        questions=questions,
        max_new_tokens=max_new_tokens,
        threshold=threshold,
        least_pairs=least_pairs,
        shard_rows=shard_rows,
        seed=seed,
    )
    with job.open() as opened, output.progress() as report:
        scorer = find_judge(judge, base_url, job.model, job.folder / "judge.jsonl")
        vectors = personas.extract_vectors(job.model, job.trait, scorer, opened, config, progress=report)
    page = write_report(job.folder, vectors)
    result = vectors_document(vectors) | {"run": str(job.folder), "report": str(page)}
    if json:
        output.print_json(result)
    else:
        print_layers(result)
        typer.echo(f"report: {page}")


@app.command()
def sweep(
    model: options.ModelName,
    trait: TraitName,
    run: RunFolder = None,
    vectors: VectorsFile = None,
    judge: JudgeName = None,
    base_url: options.BaseUrl = None,
    layers: Annotated[str | None, typer.Option(help="Such as 8,12,16; all by default.")] = None,
    coefficients: Annotated[str | None, typer.Option(help="Such as 0.5,1,2.")] = None,
    questions: Questions = None,
    samples: Samples = None,
    max_new_tokens: MaxNewTokens = None,
    coherence_floor: Annotated[
        float | None, typer.Option(help="What the coherence must not fall below; 60.")
    ] = None,
    scope: Scope = None,
    shard_rows: ShardRows = None,
    seed: options.Seed = 0,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Choose where to steer: trait score and coherence at every layer with every coefficient."""
    from mindscope import personas

    job = PersonaJob(model, trait, run, dtype, device)
    config = configure(
        personas.SweepConfig,
        layers=None if layers is None else numbers(layers, int),
        coefficients=None if coefficients is None else numbers(coefficients, float),
        questions=questions,
        samples=samples,
        max_new_tokens=max_new_tokens,
        coherence_floor=coherence_floor,
        scope=scope,
        shard_rows=shard_rows,
        seed=seed,
    )
    found = job.vectors(vectors)
    with job.open() as opened, output.progress() as report:
        scorer = find_judge(judge, base_url, job.model, job.folder / "judge.jsonl")
        result = personas.sweep_coefficients(
            job.model, found, job.trait, scorer, opened, config, progress=report
        )
    page = write_report(job.folder, found)
    if json:
        output.print_json(result.to_json() | {"run": str(job.folder), "report": str(page)})
    else:
        print_sweep(result)
        typer.echo(f"report: {page}")
    result.choice()  # says so where no layer and coefficient will do


@app.command()
def steer(
    model: options.ModelName,
    trait: TraitName,
    run: RunFolder = None,
    vectors: VectorsFile = None,
    layer: Annotated[
        int | None, typer.Option(help="The sweep's choice by default.", show_default=False)
    ] = None,
    coefficient: Annotated[
        float | None,
        typer.Option("--coefficient", "-c", help="The sweep's choice by default.", show_default=False),
    ] = None,
    question: Annotated[
        list[str] | None,
        typer.Option(help="Ask this; the held-out evaluation questions by default. Repeatable."),
    ] = None,
    judge: JudgeName = None,
    base_url: options.BaseUrl = None,
    samples: Samples = None,
    max_new_tokens: MaxNewTokens = None,
    scope: Scope = None,
    shard_rows: ShardRows = None,
    seed: options.Seed = 0,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Measure what steering does: unsteered, steered, steered against, and with random vectors."""
    from mindscope import personas

    job = PersonaJob(model, trait, run, dtype, device)
    found = job.vectors(vectors)
    before = load_sweep(job.folder, job.trait.name)
    if before is not None and (layer is None or coefficient is None):
        point = before.choice()
        layer = point.layer if layer is None else layer
        coefficient = point.coefficient if coefficient is None else coefficient
    if layer is None or coefficient is None:
        raise DataError("there is no sweep in this run: give --layer and --coefficient, or sweep first")
    asked = question or (personas.held_out(job.trait, before) if before is not None else None)
    config = configure(
        personas.SteerConfig,
        layer=layer,
        coefficient=coefficient,
        samples=samples,
        max_new_tokens=max_new_tokens,
        scope=scope,
        shard_rows=shard_rows,
        seed=seed,
    )
    with job.open() as opened, output.progress() as report:
        scorer = find_judge(judge, base_url, job.model, job.folder / "judge.jsonl")
        result = personas.measure_steering(
            job.model, found, job.trait, scorer, opened, config, questions=asked, progress=report
        )
    page = write_report(job.folder, found)
    if json:
        output.print_json(result.summary() | {"run": str(job.folder), "report": str(page)})
    else:
        print_steering(result)
        typer.echo(f"report: {page}")


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help="A run folder, or a file of vectors (.safetensors).")],
    json: Json = False,
) -> None:
    """Show vectors, what a sweep chose and what steering did, out of a run or file."""
    documents = [persona_document(file) for file in vector_files(path)]
    if json:
        output.print_json(documents)
        return
    for document in documents:
        print_layers(document)
        for title in ("sweep", "steering"):
            if document[title] is not None:
                output.print_table(list(document[title]), [list(document[title].values())], title)


app.command("export")(persona_files.export_)
app.command("import")(persona_files.import_)

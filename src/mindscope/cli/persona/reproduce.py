"""`mindscope persona reproduce`: the published claims about persona vectors, measured on a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindscope.cli import options, output
from mindscope.cli.output import Json
from mindscope.cli.session import open_run
from mindscope.errors import DataError
from mindscope.jobs import ORGANISM, find_judge, find_trait, load_model


def reproduce(
    model: Annotated[
        str, typer.Argument(metavar="[MODEL]", help="The bundled organism, or any other.")
    ] = ORGANISM,
    run: Annotated[Path, typer.Option("--run", help="Where everything is kept.")] = Path("runs/reproduce"),
    trait: Annotated[
        list[str] | None,
        typer.Option(help="For another model: a bundled trait or a file. Repeatable.", show_default=False),
    ] = None,
    sets: Annotated[
        Path | None,
        typer.Option(
            help="For another model: a folder of FAMILY-LEVEL.jsonl; TRAIT-I and TRAIT-II are needed."
        ),
    ] = None,
    ordinary: Annotated[
        Path | None, typer.Option(help="For another model: ordinary chats, to hide samples in.")
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="For another model: questions with short answers, for what it knows.")
    ] = None,
    dictionary: Annotated[
        list[Path] | None,
        typer.Option(help="For another model: an SAE of its residual stream; repeat for more layers."),
    ] = None,
    judge: Annotated[
        str | None, typer.Option("--judge", help="model:NAME, or endpoint:NAME.", show_default=False)
    ] = None,
    base_url: options.BaseUrl = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0.0, help="Of tuning.", show_default=False)
    ] = None,
    rows: Annotated[int | None, typer.Option(min=2, help="Conversations in a training set.")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Answers a question.")] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Measure the claims of the persona-vector paper: monitor, shift, predict, prevent, screen."""
    from mindscope.studies import persona_vectors as claims

    bench: claims.StudyBench
    if model == ORGANISM:
        if any((trait, sets, ordinary, judge, test, dictionary)):
            raise DataError(
                "the organism brings its own traits, data, judge and dictionaries: leave them out"
            )
        bench, config = claims.OrganismBench(seed), claims.organism_config(seed)
        loaded = load_model(model, device=device)
    elif not trait or sets is None or ordinary is None or judge is None:
        raise DataError(
            f"{model} needs --trait, --sets, --ordinary and --judge: only the organism has its own"
        )
    else:
        loaded = load_model(model, device=device)
        scorer = find_judge(judge, base_url, loaded, run / "judge.jsonl")
        traits = [find_trait(each, model) for each in trait]
        bench = claims.FilesBench(model, traits, scorer, sets, ordinary, test, seed, dictionary or ())
        config = claims.ReproduceConfig(seed=seed)
    changes = {"rows": rows, "samples": samples}
    config = config.model_copy(update={key: value for key, value in changes.items() if value is not None})
    if learning_rate is not None:
        tuning = config.tuning.model_copy(update={"learning_rate": learning_rate})
        config = config.model_copy(update={"tuning": tuning})
    settings = config.model_dump(mode="json")
    opened = open_run(run, kind="persona-claims", config=settings, fingerprint=loaded.fingerprint, seed=seed)
    with opened, output.progress() as report:
        made = claims.reproduce(bench, opened, config, report, device)
        page = claims.claims_report(made, bench.note).write(run / "report.html")
        made.save(run / "claims.json")
        found = claims.verdicts(made)
        opened.finish(report=str(page), verdicts=[each.to_json() for each in found])
    if json:
        output.print_json(
            {"report": page, "claims": run / "claims.json", "verdicts": [v.to_json() for v in found]}
        )
        return
    columns = ["claim", "trait", "needed", "measured", "holds"]
    table = [[v.claim, v.trait, v.needed, v.measured, "yes" if v.holds else "NO"] for v in found]
    output.print_table(columns, table)
    if bench.note:
        typer.echo(bench.note)
    typer.echo(f"report: {page}")

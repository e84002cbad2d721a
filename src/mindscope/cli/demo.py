"""`mindscope demo`: the main job on the bundled model, from a trait's name to steered answers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from mindscope.cli import options, output
from mindscope.cli.output import Json
from mindscope.cli.session import open_run
from mindscope.jobs import ORGANISM, find_judge, find_trait, load_model
from mindscope.jobs.resolve import TEST_BED

TRAITS = ("evil", "sycophantic", "hallucinating")
MAX_NEW_TOKENS = 64
"""The organism's answers are about thirty tokens long."""
COEFFICIENTS = (1.0, 1.5, 1.75, 2.0, 2.125, 2.25, 2.375, 2.5)
"""Closer together where trait and coherence trade places."""
TITLE = "Trait score and coherence, 0 to 100, on held-out questions; the organism's world is the judge."
STEERED_SAMPLES = 4
"""Answers a held-out question and arm."""


def demo(
    run: Annotated[Path, typer.Option("--run", help="Where everything is kept.")] = Path("runs/demo"),
    samples: Annotated[int, typer.Option(min=1, help="Answers a prompt when extracting.")] = 2,
    seed: options.Seed = 0,
    json: Json = False,
) -> None:
    """Extract, choose and steer three personas of the bundled model, and show them on one page."""
    from mindscope import personas
    from mindscope.reports import Report

    began = time.monotonic()
    model = load_model(ORGANISM)
    report = Report("Three personas of the organism", "extracted, steered and measured").note(TEST_BED)
    table: dict[str, dict[str, Any]] = {}
    made: list[tuple[personas.PersonaVectors, personas.SweepResult, personas.SteeringResult]] = []
    config = {"samples": samples, "dtype": str(model.dtype).removeprefix("torch.")}
    opened = open_run(run, kind="demo", config=config, fingerprint=model.fingerprint, seed=seed)
    with opened, output.progress() as progress:
        judge = find_judge(None, None, model, run / "judge.jsonl")
        for name in TRAITS:
            trait = find_trait(name, ORGANISM)
            extraction = personas.ExtractConfig(samples=samples, max_new_tokens=MAX_NEW_TOKENS, seed=seed)
            vectors = personas.extract_vectors(model, trait, judge, opened, extraction, progress=progress)
            sweeping = personas.SweepConfig(
                coefficients=COEFFICIENTS,
                tie=0.0,
                samples=3,
                max_new_tokens=MAX_NEW_TOKENS,
                seed=seed,
            )
            swept = personas.sweep_coefficients(
                model, vectors, trait, judge, opened, sweeping, progress=progress
            )
            point = swept.choice()
            pair = personas.SteerConfig(
                layer=point.layer,
                coefficient=point.coefficient,
                samples=STEERED_SAMPLES,
                max_new_tokens=MAX_NEW_TOKENS,
                seed=seed,
            )
            steering = personas.measure_steering(
                model,
                vectors,
                trait,
                judge,
                opened,
                pair,
                questions=personas.held_out(trait, swept),
                progress=progress,
            )
            table[name] = steering.summary()
            made.append((vectors, swept, steering))
        columns = ["trait", *(column.replace("_", " ") for column in table[TRAITS[0]])]
        rows = [[name, *row.values()] for name, row in table.items()]
        report.section("Summary", TITLE).table(columns, rows)
        for results in made:
            personas.add_persona(report, *results)
        page = report.write(run / "report.html")
        seconds = round(time.monotonic() - began, 1)
        opened.finish(seconds=seconds, report=str(page), traits=table)
    if json:
        output.print_json({"seconds": seconds, "report": page, "traits": table})
        return
    output.print_table(columns, rows, title=TITLE)
    typer.echo(TEST_BED)
    typer.echo(f"{seconds:.0f} s, report: {page}")

"""The demo: the main job on the bundled model, from three traits' names to steered answers on one page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from mindscope.jobs.job import JobSpec, Reporter, RunFolder
from mindscope.jobs.resolve import ORGANISM, TEST_BED, find_judge, find_trait, load_model
from mindscope.jobs.specs import JudgeSpec
from mindscope.personas import SteeringScores
from mindscope.store import Document

if TYPE_CHECKING:
    from mindscope.judges import Judge
    from mindscope.models import Model
    from mindscope.personas import PersonaVectors, SteeringResult, SweepResult
    from mindscope.store import Run

TRAITS = ("evil", "sycophantic", "hallucinating")
MAX_NEW_TOKENS = 64
"""The organism's answers are about thirty tokens long."""
COEFFICIENTS = (1.0, 1.5, 1.75, 2.0, 2.125, 2.25, 2.375, 2.5)
"""Closer together where trait and coherence trade places."""
TITLE = "Trait score and coherence, 0 to 100, on held-out questions; the organism's world is the judge."
SWEEP_SAMPLES = 3
STEERED_SAMPLES = 4
"""Answers per held-out question and arm."""


class DemoSpec(JobSpec):
    """What `demo` is to do."""

    samples: int = Field(default=2, ge=1)
    """Answers per prompt when vectors are extracted."""
    seed: int = 0
    """The seed of everything that is drawn at random."""

    def run_path(self) -> Path:
        """`runs/demo`."""
        return Path("runs/demo")


class DemoReport(Document):
    """What steering did to each trait, and where the page is."""

    seconds: float
    report: str
    traits: dict[str, SteeringScores]


@dataclass(frozen=True)
class TraitDemo:
    """All that was made of one trait."""

    vectors: PersonaVectors
    sweep: SweepResult
    steering: SteeringResult


def demo(spec: DemoSpec, *, run: RunFolder, reporter: Reporter) -> DemoReport:
    """Extract, choose and steer three personas of the bundled model, and show them on one page."""
    began = time.monotonic()
    model = load_model(ORGANISM)
    config = {"samples": spec.samples, "dtype": str(model.dtype).removeprefix("torch.")}
    opened = run.open(
        kind="demo", config=config, fingerprint=model.fingerprint, seed=spec.seed, reporter=reporter
    )
    with opened:
        judge = find_judge(JudgeSpec(), model, run.path / "judge.jsonl")
        demos = [_show_trait(name, model, judge, opened, spec, reporter) for name in TRAITS]
        report = DemoReport(
            report=str(_write_page(demos, run.path)),
            seconds=round(time.monotonic() - began, 1),
            traits={name: item.steering.summary() for name, item in zip(TRAITS, demos, strict=True)},
        )
        opened.finish(**report.to_json())
    return report


def _show_trait(
    name: str, model: Model, judge: Judge, run: Run, spec: DemoSpec, reporter: Reporter
) -> TraitDemo:
    """Extract the vectors, sweep, and steer the questions that the sweep has not seen."""
    from mindscope.personas import (
        ExtractConfig,
        SteerConfig,
        SweepConfig,
        extract_vectors,
        held_out,
        measure_steering,
        sweep_coefficients,
    )

    trait, progress = find_trait(name, ORGANISM), reporter.progress
    extraction = ExtractConfig(samples=spec.samples, max_new_tokens=MAX_NEW_TOKENS, seed=spec.seed)
    vectors = extract_vectors(model, trait, judge, run, extraction, progress=progress)
    sweeping = SweepConfig(
        coefficients=COEFFICIENTS,
        tie=0.0,
        samples=SWEEP_SAMPLES,
        max_new_tokens=MAX_NEW_TOKENS,
        seed=spec.seed,
    )
    sweep = sweep_coefficients(model, vectors, trait, judge, run, sweeping, progress=progress)
    point = sweep.choice()
    steering = measure_steering(
        model,
        vectors,
        trait,
        judge,
        run,
        SteerConfig(
            layer=point.layer,
            coefficient=point.coefficient,
            samples=STEERED_SAMPLES,
            max_new_tokens=MAX_NEW_TOKENS,
            seed=spec.seed,
        ),
        questions=held_out(trait, sweep),
        progress=progress,
    )
    return TraitDemo(vectors, sweep, steering)


def _write_page(demos: Sequence[TraitDemo], folder: Path) -> Path:
    from mindscope.personas import add_persona
    from mindscope.reports import Report

    report = Report("Three personas of the organism", "extracted, steered and measured").note(TEST_BED)
    columns = ["trait", *(column.replace("_", " ") for column in SteeringScores.model_fields)]
    rows = [[item.vectors.trait, *item.steering.summary().to_json().values()] for item in demos]
    report.section("Summary", TITLE).table(columns, rows)
    for item in demos:
        add_persona(report, item.vectors, item.sweep, item.steering)
    return report.write(folder / "report.html")

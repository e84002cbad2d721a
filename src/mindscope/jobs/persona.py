"""Persona vectors: extract them, choose where to steer, and measure what steering does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import RootModel

from mindscope.errors import DataError
from mindscope.jobs.job import JobSpec, Reporter, RunFolder
from mindscope.jobs.persona_run import PersonaRun, VectorsSummary, find_vector_files, summarise_vectors
from mindscope.jobs.specs import BorrowingModelSpec, JudgeSpec, TraitSpec, block_of, blocks_of
from mindscope.personas import ExtractConfig, SteerConfig, SteeringScores, SweepConfig, SweepResult
from mindscope.store import BorrowingDocument, Document

if TYPE_CHECKING:
    from mindscope.judges import Judge
    from mindscope.models import Model
    from mindscope.store import Run

JUDGEMENTS = "judge.jsonl"
"""What an endpoint said, so that it is not asked twice."""


class PersonaSpec(TraitSpec, JudgeSpec):
    """A model, a trait and a judge."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "trait")

    def run_path(self) -> Path:
        """`runs/TRAIT`: one run holds all about a trait."""
        return Path("runs") / re.sub(r"[^\w-]+", "-", self.find_trait().name)


class ExtractSpec(PersonaSpec, ExtractConfig):
    """What `extract` is to do."""


class SweepSpec(PersonaSpec, BorrowingModelSpec, SweepConfig):
    """What `sweep` is to do."""

    vectors: Path | None = None
    """Vectors from elsewhere, in place of those that `extract` left in the run."""
    published_index: bool = False
    """Read layers as published files count, where 0 is the embeddings: 20 is the output of block 19."""


class SteerSpec(PersonaSpec, BorrowingModelSpec, SteerConfig):
    """What `steer` is to do."""

    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"coefficient": ("--coefficient", "-c")}

    vectors: Path | None = None
    """Vectors from elsewhere, in place of those that `extract` left in the run."""
    published_index: bool = False
    """Read layers as published files count, where 0 is the embeddings: 20 is the output of block 19."""
    layer: int | None = None  # type: ignore[assignment]
    """The layer whose output is steered; the sweep's choice by default."""
    coefficient: float | None = None  # type: ignore[assignment]
    """How many times the vector is added; the sweep's choice by default."""
    question: tuple[str, ...] = ()
    """Ask this question; the held-out evaluation questions by default. May be repeated."""


class ShowVectorsSpec(JobSpec):
    """What `show` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("path",)

    path: Path
    """A run folder, or a file of vectors (.safetensors)."""


class ExtractReport(VectorsSummary):
    """The vectors that were extracted, and where their page is."""

    run: str
    report: str


class SweepReport(Document):
    """The sweep, and where its page is."""

    sweep: SweepResult
    run: str
    report: str


class SteeringSummary(SteeringScores, BorrowingDocument):
    """What steering did, and where its page is."""

    trait: str
    run: str
    report: str


class VectorsListing(RootModel[tuple[VectorsSummary, ...]]):
    """Vectors of several files."""


def extract(spec: ExtractSpec, *, run: RunFolder, reporter: Reporter) -> ExtractReport:
    """Find the vectors at every layer: answers under contrasting instructions, judged and filtered."""
    from mindscope.personas import contrast_recipe, extract_vectors

    trait, model = spec.find_trait(), spec.load()
    with _open(run, model, reporter) as opened:
        recipe = contrast_recipe(spec.judge)
        judge = None if spec.judge == "none" else recipe or spec.find_judge(model, run.path / JUDGEMENTS)
        vectors = extract_vectors(
            model, trait, judge, opened, spec.config(ExtractConfig), progress=reporter.progress
        )
    kept = PersonaRun(run.path)
    page = kept.write_report(vectors)
    file = kept.vectors_file(trait.name)
    return ExtractReport.of(vectors, file, run=str(run.path), report=str(page))


def sweep(spec: SweepSpec, *, run: RunFolder, reporter: Reporter) -> SweepReport:
    """Choose where to steer: trait score and coherence at every layer with every coefficient."""
    from mindscope.personas import sweep_coefficients

    trait, model, kept = spec.find_trait(), spec.load(), PersonaRun(run.path)
    vectors = kept.vectors(trait.name, model, spec.vectors)
    config = spec.config(SweepConfig, layers=blocks_of(spec.layers, spec.published_index))
    with _open(run, model, reporter) as opened:
        judge = _find_kept_judge(spec, model, run.path)
        result = sweep_coefficients(model, vectors, trait, judge, opened, config, progress=reporter.progress)
    page = kept.write_report(vectors)
    return SweepReport(sweep=result, run=str(run.path), report=str(page))


def steer(spec: SteerSpec, *, run: RunFolder, reporter: Reporter) -> SteeringSummary:
    """Measure what steering does: unsteered, steered, steered against, and with random vectors."""
    from mindscope.personas import held_out, measure_steering

    trait, model, kept = spec.find_trait(), spec.load(), PersonaRun(run.path)
    vectors = kept.vectors(trait.name, model, spec.vectors)
    swept = kept.sweep(trait.name)
    layer = block_of(spec.layer, spec.published_index)
    chosen = {"layer": layer, "coefficient": spec.coefficient}
    if swept is not None and None in chosen.values():
        point = swept.choice()
        chosen = {
            "layer": point.layer if layer is None else layer,
            "coefficient": point.coefficient if spec.coefficient is None else spec.coefficient,
        }
    if None in chosen.values():
        raise DataError("there is no sweep in this run: give --layer and --coefficient, or sweep first")
    questions = spec.question or (held_out(trait, swept) if swept is not None else None)
    with _open(run, model, reporter) as opened:
        judge = _find_kept_judge(spec, model, run.path)
        result = measure_steering(
            model,
            vectors,
            trait,
            judge,
            opened,
            spec.config(SteerConfig, **chosen),
            questions=questions,
            progress=reporter.progress,
        )
    page = kept.write_report(vectors)
    return SteeringSummary(
        **result.summary().to_json(),
        trait=trait.name,
        run=str(run.path),
        report=str(page),
        borrowed=result.borrowed,
    )


def show(spec: ShowVectorsSpec, *, reporter: Reporter) -> VectorsListing:
    """Show vectors, what a sweep chose and what steering did, out of a run or file."""
    del reporter  # there is nothing to wait for
    return VectorsListing(tuple(summarise_vectors(file) for file in find_vector_files(spec.path)))


def _find_kept_judge(spec: SweepSpec | SteerSpec, model: Model, run: Path) -> Judge:
    """Who scores steered answers: a contrast judge is the one that was made with the vectors."""
    from mindscope.personas import JUDGE_FILE, contrast_recipe

    recipe = contrast_recipe(spec.judge)
    if recipe is None:
        return spec.find_judge(model, run / JUDGEMENTS)
    vectors = spec.vectors or PersonaRun(run).vectors_file(spec.find_trait().name)
    return recipe.load(model, vectors.with_name(JUDGE_FILE))


def _open(run: RunFolder, model: Model, reporter: Reporter) -> Run:
    return run.open(
        kind="persona",
        config={"dtype": str(model.dtype).removeprefix("torch.")},
        model=model,
        reporter=reporter,
    )

"""Persona vectors: extract them, choose where to steer, and measure what steering does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, RootModel, model_validator

from mindscope.errors import DataError
from mindscope.jobs.estimates import QuickSpec, WorkEstimate, announce
from mindscope.jobs.job import JobSpec, Reporter, RunFolder
from mindscope.jobs.persona.estimates import (
    CONTRAST,
    estimate_extraction,
    estimate_steering,
    estimate_sweep,
    quick_layers,
)
from mindscope.jobs.persona.persona_run import (
    PersonaRun,
    VectorsSummary,
    default_layer,
    find_vector_files,
    summarise_vectors,
)
from mindscope.jobs.resolve import TEST_BED, find_trait, is_organism, require_judge
from mindscope.jobs.specs import BorrowingModelSpec, DataSpec, JudgeSpec, TraitSpec, block_of, blocks_of
from mindscope.jobs.steering import SteeringNames
from mindscope.personas import (
    BudgetChoice,
    ExtractConfig,
    SteerConfig,
    SteeringScores,
    SweepConfig,
    SweepResult,
)
from mindscope.store import BorrowingDocument, Document

if TYPE_CHECKING:
    from mindscope.judges import Judge
    from mindscope.models import Model
    from mindscope.personas import PersonaVectors, SteeringResult, Trait
    from mindscope.store import Run

TRAIT = "trait.yaml"
"""A trait that was made of a name."""
JUDGEMENTS = "judge.jsonl"
"""What an endpoint said, so that it is not asked twice."""


class PersonaSpec(TraitSpec, JudgeSpec):
    """A model, a trait and a judge."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "trait")

    def run_path(self) -> Path:
        """`runs/TRAIT`: one run holds all about a trait."""
        return Path("runs") / re.sub(r"[^\w-]+", "-", self.find_trait().name)


class ExtractSpec(PersonaSpec, DataSpec, QuickSpec, ExtractConfig):
    """What `extract` is to do."""

    quick_sizes: ClassVar[Mapping[str, Any]] = {"questions": 5, "samples": 2, "max_new_tokens": 64}

    trait: str | None = None  # type: ignore[assignment]
    """A bundled trait, a file, organism:NAME for the organism's world, or a word and its opposite, such as
    'patient / impatient'; with --examples a --name is enough."""
    examples: tuple[Path, ...] = Field(default=(), max_length=2)
    """Make the vectors from recorded answers: two files, of answers that show the trait and of answers that
    do not (give the option twice), or one with a column `label` or of preference pairs. docs/data.md has the
    forms."""
    name: str | None = None
    """What to call a trait that is known by --examples alone; it is asked about and judged with bundled
    questions and a judge prompt for the word."""
    positive: str | None = None
    """The label of --examples that shows the trait; all others do not. Labels like true and false need
    none."""
    on_error: Literal["refuse", "skip"] = "refuse"
    """What becomes of a row of --examples without an example: the job stops and names it, or it is skipped
    and counted."""

    @model_validator(mode="after")
    def _check_examples(self) -> Self:
        if self.trait is not None and self.name is not None:
            raise ValueError("a trait has a name: leave --name out")
        if not self.examples and (self.name is not None or self.positive is not None):
            raise ValueError("--name and --positive are about --examples: give those too")
        return self

    def find_trait(self) -> Trait:
        """The trait; one that has only a name is asked about and judged by what is bundled."""
        from mindscope.personas import trait_of_name

        if self.name is not None:
            return trait_of_name(self.name)
        if self.trait is None:
            raise DataError("give a trait, or --examples with a --name")
        return find_trait(self.trait, self.model)


class SweepSpec(PersonaSpec, BorrowingModelSpec, QuickSpec, SweepConfig):
    """What `sweep` is to do."""

    quick_sizes: ClassVar[Mapping[str, Any]] = {
        "coefficients": (1.0, 2.0),
        "questions": 5,
        "max_new_tokens": 64,
    }

    vectors: Path | None = None
    """Vectors from elsewhere, in place of those that `extract` left in the run."""
    published_index: bool = False
    """Read layers as published files count, where 0 is the embeddings: 20 is the output of block 19."""


class SteerSpec(PersonaSpec, BorrowingModelSpec, QuickSpec, SteerConfig):
    """What `steer` is to do."""

    quick_sizes: ClassVar[Mapping[str, Any]] = {"n_random": 2, "max_new_tokens": 64}

    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"coefficient": ("--coefficient", "-c")}

    trait: str | None = None  # type: ignore[assignment]
    """A bundled trait, a file, organism:NAME for the organism's world, or a word and its opposite, such as
    'patient / impatient'. With --steer and --question and without a judge none is needed."""
    vectors: Path | None = None
    """Vectors from elsewhere, in place of those that `extract` left in the run."""
    published_index: bool = False
    """Read layers as published files count, where 0 is the embeddings: 20 is the output of block 19."""
    layer: int | None = None
    """The layer whose output is steered; the sweep's choice by default."""
    coefficient: float | None = None
    """How many times the vector is added; the sweep's choice by default."""
    budget: float | None = Field(default=None, gt=0)
    """Nats: take the largest coefficient at which 95 % of the tokens of steered answers diverge by less than
    this from the unsteered model, in place of --coefficient; 1 is usual."""
    question: tuple[str, ...] = ()
    """Ask this question; the held-out evaluation questions by default. May be repeated. Without a judge the
    answers are shown side by side, and not scored."""

    def run_path(self) -> Path:
        """`runs/TRAIT`, or `runs/steer` without a trait."""
        return Path("runs/steer") if self.trait is None else super().run_path()

    @property
    def is_judged(self) -> bool:
        """Whether answers are scored."""
        if self.judge is None:
            return self.trait is not None and (is_organism(self.model) or not self.question)
        return self.judge != "none" or not self.question

    def require_work(self, run: Path) -> None:
        """Refuse what cannot be done with what lies in the run, before a model is loaded.

        Raises:
            DataError: no trait, vectors or sweep where one is needed, or an expression that cannot be read.
            JudgeError: answers are to be scored, and nobody is named who does.
        """
        if self.budget is not None and (self.coefficient is not None or self.steer is not None):
            raise DataError("--budget finds the coefficient: leave --coefficient and --steer out")
        if self.trait is None:
            if self.is_judged:
                raise DataError("name the trait that is scored: mindscope persona steer MODEL TRAIT")
            if self.steer is None or not self.question:
                raise DataError("without a trait say what to steer by and what to ask: --steer, --question")
        if self.steer is not None:
            self.config(SteerConfig).expression("")
        else:
            _require_vectors(self, run)
        if self.is_judged:
            _require_kept_judge(self, run)


class ShowVectorsSpec(JobSpec):
    """What `show` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("path",)

    path: Path
    """A run folder, or a file of vectors (.safetensors)."""


class ExtractReport(VectorsSummary):
    """The vectors that were extracted, and where their page is."""

    run: str
    report: str
    estimate: WorkEstimate | None = None
    """What was expected before it began; None where every answer was there already."""


class SweepReport(Document):
    """The sweep, and where its page is."""

    sweep: SweepResult
    run: str
    report: str
    estimate: WorkEstimate | None = None
    """What was expected before it began; None where every answer was there already."""


class ComparedAnswers(Document):
    """One question's answers by arm."""

    question: str
    answers: dict[str, tuple[str, ...]]


class SteeringSummary(SteeringScores, BorrowingDocument):
    """What steering did, and where its page is."""

    trait: str | None
    steered_by: str
    texts: tuple[ComparedAnswers, ...]
    """The answers to the questions that were given; those to the trait's own are on the page."""
    run: str
    report: str
    budget: BudgetChoice | None = None
    """How the coefficient was found, where it was by a budget."""
    estimate: WorkEstimate | None = None
    """What was expected before it began."""


class VectorsListing(RootModel[tuple[VectorsSummary, ...]]):
    """Vectors of several files."""


def extract(spec: ExtractSpec, *, run: RunFolder, reporter: Reporter) -> ExtractReport:
    """Find the vectors at every layer: from answers under contrasting instructions, or from recorded ones."""
    if spec.examples:
        return _extract_from_examples(spec, run, reporter)
    from mindscope.personas import contrast_recipe, extract_vectors

    trait, recipe, config = spec.find_trait(), contrast_recipe(spec.judge), spec.config(ExtractConfig)
    if recipe is not None:
        recipe.require_drawn(config)
    elif spec.judge != "none":
        require_judge(spec, spec.model)
    if config.temperature is None and config.samples == 1:
        reporter.say("one answer to each prompt takes the likeliest tokens: --temperature 1 draws it")
    model = spec.load()
    with _open(run, model, reporter) as opened:
        judge = None if spec.judge == "none" else recipe or spec.find_judge(model, run.path / JUDGEMENTS)
        more = "" if recipe is None else CONTRAST
        estimate = estimate_extraction(model, trait, opened, config, judged=judge is not None, more=more)
        if estimate is not None:
            announce(reporter, estimate, spec.less())
        vectors = extract_vectors(model, trait, judge, opened, config, progress=reporter.progress)
    kept = PersonaRun(run.path)
    kept.note_sizes("extract", spec.quick_note)
    page = kept.write_report(vectors)
    file = kept.vectors_file(trait.name)
    return ExtractReport.of(vectors, file, run=str(run.path), report=str(page), estimate=estimate)


def _extract_from_examples(spec: ExtractSpec, run: RunFolder, reporter: Reporter) -> ExtractReport:
    from mindscope.personas import LABEL, read_examples

    trait, refuse = spec.find_trait(), spec.on_error == "refuse"
    sources = [
        spec.open_data(file, reporter, refuse=refuse, main=number == 0, read=(LABEL, "rejected"))
        for number, file in enumerate(spec.examples)
    ]
    examples = read_examples(sources, positive=spec.positive, on_error=spec.on_error)
    examples.require(spec.least_pairs, trait.name)

    from mindscope.personas import contrast_recipe, extract_from_examples  # takes seconds

    recipe, config = contrast_recipe(spec.judge), spec.config(ExtractConfig)
    is_judged = spec.judge not in (None, "none")
    if recipe is not None:
        recipe.require_drawn(config)
    elif is_judged:
        require_judge(spec, spec.model)
    model = spec.load()
    with _open(run, model, reporter) as opened:
        judge = recipe or (spec.find_judge(model, run.path / JUDGEMENTS) if is_judged else None)
        vectors = extract_from_examples(
            model, trait, examples, opened, config, judge=judge, progress=reporter.progress
        )
        if spec.name is not None:
            trait.save(run.path / TRAIT)
            reporter.say(f"saved as {run.path / TRAIT}: the trait to give to sweep and steer")
    kept = PersonaRun(run.path)
    page = kept.write_report(vectors)
    return ExtractReport.of(vectors, kept.vectors_file(trait.name), run=str(run.path), report=str(page))


def sweep(spec: SweepSpec, *, run: RunFolder, reporter: Reporter) -> SweepReport:
    """Choose where to steer: trait score and coherence at every layer with every coefficient.

    Given again with other layers or coefficients, it keeps the answers that are there and adds the others.
    """
    from mindscope.personas import sweep_coefficients

    trait, kept = spec.find_trait(), PersonaRun(run.path)
    _require_vectors(spec, run.path)
    _require_kept_judge(spec, run.path)
    model = spec.load()
    vectors = kept.vectors(trait.name, model, spec.vectors)
    layers = blocks_of(spec.layers, spec.published_index)
    if layers is None and spec.quick:
        layers = quick_layers(vectors.layers)
    config = spec.config(SweepConfig, layers=layers)
    with _open(run, model, reporter) as opened:
        judge = _find_kept_judge(spec, model, run.path)
        estimate = estimate_sweep(model, vectors, trait, opened, config)
        if estimate is not None:
            announce(reporter, estimate, spec.less())
        result = sweep_coefficients(model, vectors, trait, judge, opened, config, progress=reporter.progress)
    kept.note_sizes("sweep", spec.quick_note)
    page = kept.write_report(vectors)
    return SweepReport(sweep=result, run=str(run.path), report=str(page), estimate=estimate)


def steer(spec: SteerSpec, *, run: RunFolder, reporter: Reporter) -> SteeringSummary:
    """Measure what steering does: unsteered, steered, steered against, and with random vectors.

    With --question and without a judge it shows the answers side by side.
    """
    from mindscope.personas import held_out, measure_steering, steering_report

    spec.require_work(run.path)
    trait, kept = None if spec.trait is None else spec.find_trait(), PersonaRun(run.path)
    swept = None if trait is None else kept.sweep(trait.name)
    config = None if spec.budget is not None else _steer_config(spec, swept)
    model = spec.load()
    vectors = None
    if trait is not None and (spec.steer is None or _vectors_file(spec, run.path).exists()):
        vectors = kept.vectors(trait.name, model, spec.vectors)
    choice: BudgetChoice | None = None
    if config is None:
        assert trait is not None
        assert vectors is not None
        config, choice = _within_budget(spec, model, vectors, trait, swept, reporter)
    questions = spec.question or (held_out(trait, swept) if trait is not None and swept is not None else None)
    names = SteeringNames(
        model,
        {} if vectors is None else {vectors.trait: vectors},
        chosen={} if swept is None or swept.chosen is None else {swept.trait: swept.choice().layer},
        kind=spec.kind,
        published_index=spec.published_index and spec.steer is not None,
    )
    with _open(run, model, reporter) as opened:
        judge = _find_kept_judge(spec, model, run.path) if spec.is_judged else None
        asked = questions or (trait.questions("evaluation") if trait is not None else ())
        estimate = estimate_steering(model, asked, config, judged=judge is not None)
        announce(reporter, estimate, spec.less())
        result = measure_steering(
            model,
            vectors,
            trait,
            judge,
            opened,
            config,
            questions=questions,
            find=names.find,
            progress=reporter.progress,
        )
    kept.note_sizes("steer", spec.quick_note)
    if vectors is None:
        answers = steering_report(result, model.name)
        if is_organism(model.name):
            answers.note(TEST_BED)
        page = answers.write(run.path / "report.html")
    else:
        page = kept.write_report(vectors)
    return SteeringSummary(
        **result.summary().to_json(),
        trait=result.trait,
        steered_by=result.steered_by,
        texts=compare_answers(result) if spec.question else (),
        run=str(run.path),
        report=str(page),
        borrowed=result.borrowed,
        budget=choice,
        estimate=estimate,
    )


CALIBRATION_QUESTIONS = 8
"""How many extraction questions are answered with each coefficient that is tried for a budget."""


def _within_budget(
    spec: SteerSpec,
    model: Model,
    vectors: PersonaVectors,
    trait: Trait,
    swept: SweepResult | None,
    reporter: Reporter,
) -> tuple[SteerConfig, BudgetChoice]:
    """The layer, and the largest coefficient within the budget, on questions that are not measured then."""
    from mindscope.personas import find_budget_coefficient

    assert spec.budget is not None
    layer = block_of(spec.layer, spec.published_index)
    if layer is None:
        layer = default_layer(model) if swept is None or swept.chosen is None else swept.choice().layer
    choice = find_budget_coefficient(
        model,
        vectors.direction(layer, spec.kind),
        trait.questions("extraction")[:CALIBRATION_QUESTIONS],
        budget=spec.budget,
        positions=spec.positions,
        progress=reporter.progress,
    )
    reporter.say(f"coefficient {choice.coefficient:.3g} at layer {layer}: within {spec.budget:g} nats")
    return spec.config(SteerConfig, layer=layer, coefficient=choice.coefficient), choice


def compare_answers(result: SteeringResult) -> tuple[ComparedAnswers, ...]:
    """The answers of all arms by question."""
    arms = {name: getattr(result, name).samples for name in ("unsteered", "steered", "against", "random")}
    return tuple(
        ComparedAnswers(
            question=question,
            answers={
                name: tuple(sample.answer for sample in samples if sample.question == question)
                for name, samples in arms.items()
                if samples
            },
        )
        for question in result.questions
    )


def show(spec: ShowVectorsSpec, *, reporter: Reporter) -> VectorsListing:
    """Show vectors, what a sweep chose and what steering did, out of a run or file."""
    del reporter  # there is nothing to wait for
    return VectorsListing(tuple(summarise_vectors(file) for file in find_vector_files(spec.path)))


def _steer_config(spec: SteerSpec, swept: SweepResult | None) -> SteerConfig:
    """What is steered by: an expression, or a layer and a coefficient, which a sweep may have chosen."""
    if spec.steer is not None:
        return spec.config(SteerConfig)
    layer, coefficient = block_of(spec.layer, spec.published_index), spec.coefficient
    if swept is not None and None in (layer, coefficient):
        point = swept.choice()
        layer = point.layer if layer is None else layer
        coefficient = point.coefficient if coefficient is None else coefficient
    if layer is None or coefficient is None:
        raise DataError(
            "there is no sweep in this run: give --layer and --coefficient, or --steer, or sweep first"
        )
    return spec.config(SteerConfig, layer=layer, coefficient=coefficient)


def _vectors_file(spec: SweepSpec | SteerSpec, run: Path) -> Path:
    return spec.vectors or PersonaRun(run).vectors_file(spec.find_trait().name)


def _require_vectors(spec: SweepSpec | SteerSpec, run: Path) -> None:
    PersonaRun.require_vectors(_vectors_file(spec, run))


def _require_kept_judge(spec: SweepSpec | SteerSpec, run: Path) -> None:
    """Refuse what names no judge, or a contrast judge that nobody has made."""
    from mindscope.personas import JUDGE_FILE, contrast_recipe

    recipe = contrast_recipe(spec.judge)
    if recipe is None:
        require_judge(spec, spec.model)
    else:
        recipe.require_made(_vectors_file(spec, run).with_name(JUDGE_FILE))


def _find_kept_judge(spec: SweepSpec | SteerSpec, model: Model, run: Path) -> Judge:
    """Who scores steered answers: a contrast judge is the one that was made with the vectors."""
    from mindscope.personas import JUDGE_FILE, contrast_recipe

    recipe = contrast_recipe(spec.judge)
    if recipe is None:
        return spec.find_judge(model, run / JUDGEMENTS)
    return recipe.load(model, _vectors_file(spec, run).with_name(JUDGE_FILE))


def _open(run: RunFolder, model: Model, reporter: Reporter) -> Run:
    return run.open(
        kind="persona",
        config={"dtype": str(model.dtype).removeprefix("torch.")},
        model=model,
        reporter=reporter,
    )

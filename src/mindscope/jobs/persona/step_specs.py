"""What extract, sweep and steer are to do, and what they say of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, RootModel, model_validator

from mindscope.core import Index
from mindscope.errors import DataError
from mindscope.jobs.estimates import QuickSpec, WorkEstimate
from mindscope.jobs.job import JobSpec
from mindscope.jobs.persona.kept_inputs import require_kept_judge, require_vectors
from mindscope.jobs.persona.persona_run import (
    VectorsSummary,
)
from mindscope.jobs.resolve import find_trait, is_test_bed
from mindscope.jobs.specs import BorrowingModelSpec, DataSpec, EngineSpec, JudgeSpec, TraitSpec
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
    from mindscope.personas import Trait


class PersonaSpec(TraitSpec, JudgeSpec):
    """A model, a trait and a judge."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "trait")

    def run_path(self) -> Path:
        """`runs/TRAIT`: one run holds all about a trait."""
        return Path("runs") / re.sub(r"[^\w-]+", "-", self.find_trait().name)


class ExtractSpec(PersonaSpec, EngineSpec, DataSpec, QuickSpec, ExtractConfig):
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


class SweepSpec(PersonaSpec, EngineSpec, BorrowingModelSpec, QuickSpec, SweepConfig):
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


class SteerSpec(PersonaSpec, EngineSpec, BorrowingModelSpec, QuickSpec, SteerConfig):
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
    layer: Index | None = None
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
            return self.trait is not None and (is_test_bed(self.model) or not self.question)
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
            require_vectors(self, run)
        if self.is_judged:
            require_kept_judge(self, run)


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

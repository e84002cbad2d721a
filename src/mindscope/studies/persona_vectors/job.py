"""The study as a job: on an organism, which brings everything along, or on any other model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mindscope.core import Seed
from mindscope.jobs import (
    ORGANISM,
    JudgeSpec,
    Reporter,
    RunFolder,
    find_trait,
    is_test_bed,
    load_model,
    world_of,
)
from mindscope.store import Document
from mindscope.studies.common import Claim

if TYPE_CHECKING:
    from mindscope.models import Model
    from mindscope.studies.persona_vectors.benches.bench import StudyBench
    from mindscope.studies.persona_vectors.config import ReproduceConfig


class ReproduceSpec(JudgeSpec):
    """What `persona reproduce` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model",)
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "traits": ("--trait",),
        "dictionaries": ("--dictionary",),
        "others": ("--other",),
    }

    model: str = ORGANISM
    """A bundled model, organism or second-organism, which brings everything along, or any other model: a
    Hugging Face name or folder."""
    traits: tuple[str, ...] = ()
    """For another model: a bundled trait, a file, or a word and its opposite. May be repeated."""
    others: tuple[str, ...] = ()
    """For a model that writes its own sets: a trait to write further sets with. May be repeated."""
    preset: Literal["paper", "quick"] = "paper"
    """For another model: the paper's sizes, or smaller ones for a small model on a CPU."""
    sets: Path | None = None
    """For another model: a folder of training sets FAMILY-LEVEL.jsonl; TRAIT-I and TRAIT-II are needed. By
    default the model writes them itself: its own answers under a trait's instructions."""
    ordinary: Path | None = None
    """For another model with sets: ordinary chats, to hide samples in."""
    test: Path | None = None
    """For another model: questions with short answers, for what it knows."""
    dictionaries: tuple[Path, ...] = ()
    """For another model: an SAE of its residual stream. May be repeated for more layers."""
    learning_rate: float | None = Field(default=None, gt=0)
    """The learning rate of tuning; the paper's, or an organism's own, by default."""
    rows: int | None = Field(default=None, ge=2)
    """Conversations in a training set; the paper's number, or an organism's own, by default."""
    samples: int | None = Field(default=None, ge=1)
    """Answers per question; the paper's number, or an organism's own, by default."""
    seed: Seed = 0
    """The seed of everything that is drawn at random."""
    device: str = "auto"
    """Where the model runs: cpu, cuda, or auto."""

    @model_validator(mode="after")
    def _check_surroundings(self) -> Self:
        given = (
            self.traits, self.sets, self.ordinary, self.judge, self.test, self.dictionaries, self.others,
        )  # fmt: skip
        if is_test_bed(self.model) and any(given):
            raise ValueError(
                f"{self.model} brings its own traits, data, judge and dictionaries: leave them out"
            )
        if is_test_bed(self.model):
            return self
        if not (self.traits and self.judge):
            raise ValueError(
                f"{self.model} needs --trait and --judge: only organism and second-organism have their own"
            )
        if (self.sets is None) != (self.ordinary is None):
            raise ValueError("--sets and --ordinary belong together: give both, or let the model write both")
        if self.sets is None and (self.test or self.dictionaries):
            raise ValueError("--test and --dictionary go with --sets and --ordinary")
        if self.sets is not None and self.others:
            raise ValueError(
                "--other is for a model that writes its own sets: leave --sets and --ordinary out"
            )
        return self

    def run_path(self) -> Path:
        """`runs/reproduce`."""
        return Path("runs/reproduce")

    def study_config(self, n_layers: int) -> ReproduceConfig:
        """The paper's settings, quick ones or an organism's own, with what is asked for."""
        from mindscope.studies.persona_vectors.config import ReproduceConfig, organism_config, quick_config

        if is_test_bed(self.model):
            config = organism_config(self.seed)
        elif self.preset == "quick":
            config = quick_config(n_layers, self.seed)
        else:
            config = ReproduceConfig(seed=self.seed)
        asked = {"rows": self.rows, "samples": self.samples}
        config = config.model_copy(update={name: value for name, value in asked.items() if value is not None})
        if self.learning_rate is None:
            return config
        tuning = config.tuning.model_copy(update={"learning_rate": self.learning_rate})
        return config.model_copy(update={"tuning": tuning})

    def find_bench(self, model: Model, config: ReproduceConfig, folder: Path) -> StudyBench:
        """Traits, judge, prompts and training sets: an organism's, those that are named, or the model's own.

        Judgements of an endpoint and sets that the model writes are kept in `folder`.
        """
        from mindscope.personas import contrast_recipe
        from mindscope.studies.persona_vectors.benches.files_bench import FilesBench
        from mindscope.studies.persona_vectors.benches.organism_bench import OrganismBench
        from mindscope.studies.persona_vectors.benches.own_answers_bench import OwnAnswersBench
        from mindscope.studies.persona_vectors.benches.second_organism_bench import SecondOrganismBench

        if world := world_of(self.model):
            return OrganismBench(self.seed) if world == "first" else SecondOrganismBench(self.seed)
        traits = [find_trait(name, self.model) for name in self.traits]
        others = [find_trait(name, self.model) for name in self.others]
        judge = contrast_recipe(self.judge) or self.find_judge(model, folder / "judge.jsonl")
        if self.sets is None or self.ordinary is None:
            return OwnAnswersBench(model, traits, others, judge, folder / "own-answers", config)
        return FilesBench(
            self.model, traits, judge, self.sets, self.ordinary, self.test, self.seed, self.dictionaries
        )

    def describe_bench(self) -> dict[str, Any]:
        """What a run of another model is of, besides its config; nothing for an organism, which is whole."""
        named = ("traits", "others", "sets", "ordinary", "test", "dictionaries", "judge")
        given = {name: value for name, value in self.model_dump(mode="json").items() if name in named}
        return {} if is_test_bed(self.model) else {"bench": given}


class ReproductionReport(Document):
    """Which claims hold, and where everything that was measured is."""

    report: str
    claims: str
    verdicts: tuple[Claim, ...]
    note: str
    """What the report says at its head, such as that the model is a test bed."""


def reproduce_claims(spec: ReproduceSpec, *, run: RunFolder, reporter: Reporter) -> ReproductionReport:
    """Measure the claims of the persona-vector paper: monitor, shift, predict, prevent, screen."""
    from mindscope.studies.persona_vectors.claims import list_claims
    from mindscope.studies.persona_vectors.report import claims_report
    from mindscope.studies.persona_vectors.reproduce import reproduce

    model = load_model(spec.model, device=spec.device)
    config = spec.study_config(model.n_layers)
    bench = spec.find_bench(model, config, run.path)
    opened = run.open(
        kind="persona-claims",
        config=config.model_dump(mode="json") | spec.describe_bench(),
        model=model,
        seed=spec.seed,
        reporter=reporter,
    )
    with opened:
        reproduction = reproduce(bench, opened, config, reporter.progress, spec.device)
        page = claims_report(reproduction, bench.note).write(run.path / "report.html")
        reproduction.save(run.path / "claims.json")
        report = ReproductionReport(
            report=str(page),
            claims=str(run.path / "claims.json"),
            verdicts=tuple(list_claims(reproduction)),
            note=bench.note,
        )
        opened.finish(**report.to_json())
    return report

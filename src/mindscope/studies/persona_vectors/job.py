"""The study as a job: on the organism, which brings everything along, or on any other model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from mindscope.jobs import (
    ORGANISM,
    JudgeSpec,
    Reporter,
    RunFolder,
    find_trait,
    is_organism,
    load_model,
)
from mindscope.store import Document
from mindscope.studies.common import Claim

if TYPE_CHECKING:
    from mindscope.models import Model
    from mindscope.studies.persona_vectors.bench import StudyBench
    from mindscope.studies.persona_vectors.config import ReproduceConfig


class ReproduceSpec(JudgeSpec):
    """What `persona reproduce` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model",)
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "traits": ("--trait",),
        "dictionaries": ("--dictionary",),
    }

    model: str = ORGANISM
    """The bundled organism, or any other model: a Hugging Face name or folder."""
    traits: tuple[str, ...] = ()
    """For another model: a bundled trait or a file. May be repeated."""
    sets: Path | None = None
    """For another model: a folder of training sets FAMILY-LEVEL.jsonl; TRAIT-I and TRAIT-II are needed."""
    ordinary: Path | None = None
    """For another model: ordinary chats, to hide samples in."""
    test: Path | None = None
    """For another model: questions with short answers, for what it knows."""
    dictionaries: tuple[Path, ...] = ()
    """For another model: an SAE of its residual stream. May be repeated for more layers."""
    learning_rate: float | None = Field(default=None, gt=0)
    """The learning rate of tuning; the paper's, or the organism's own, by default."""
    rows: int | None = Field(default=None, ge=2)
    """Conversations in a training set; the paper's number, or the organism's own, by default."""
    samples: int | None = Field(default=None, ge=1)
    """Answers per question; the paper's number, or the organism's own, by default."""
    seed: int = 0
    """The seed of everything that is drawn at random."""
    device: str = "auto"
    """Where the model runs: cpu, cuda, or auto."""

    @model_validator(mode="after")
    def _check_surroundings(self) -> Self:
        given = (self.traits, self.sets, self.ordinary, self.judge, self.test, self.dictionaries)
        if is_organism(self.model) and any(given):
            raise ValueError(
                "the organism brings its own traits, data, judge and dictionaries: leave them out"
            )
        if not is_organism(self.model) and not (self.traits and self.sets and self.ordinary and self.judge):
            raise ValueError(
                f"{self.model} needs --trait, --sets, --ordinary and --judge: only the organism has its own"
            )
        return self

    def run_path(self) -> Path:
        """`runs/reproduce`."""
        return Path("runs/reproduce")

    def study_config(self) -> ReproduceConfig:
        """The paper's settings or the organism's own, with what is asked for."""
        from mindscope.studies.persona_vectors.config import ReproduceConfig, organism_config

        config = organism_config(self.seed) if is_organism(self.model) else ReproduceConfig(seed=self.seed)
        asked = {"rows": self.rows, "samples": self.samples}
        config = config.model_copy(update={name: value for name, value in asked.items() if value is not None})
        if self.learning_rate is None:
            return config
        tuning = config.tuning.model_copy(update={"learning_rate": self.learning_rate})
        return config.model_copy(update={"tuning": tuning})

    def find_bench(self, model: Model, judgements: Path) -> StudyBench:
        """Traits, judge, prompts and training sets: the organism's, or those that are named."""
        from mindscope.studies.persona_vectors.files_bench import FilesBench
        from mindscope.studies.persona_vectors.organism_bench import OrganismBench

        if self.sets is None or self.ordinary is None:
            return OrganismBench(self.seed)
        return FilesBench(
            self.model,
            [find_trait(name, self.model) for name in self.traits],
            self.find_judge(model, judgements),
            self.sets,
            self.ordinary,
            self.test,
            self.seed,
            self.dictionaries,
        )


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
    bench, config = spec.find_bench(model, run.path / "judge.jsonl"), spec.study_config()
    opened = run.open(
        kind="persona-claims",
        config=config.model_dump(mode="json"),
        fingerprint=model.fingerprint,
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

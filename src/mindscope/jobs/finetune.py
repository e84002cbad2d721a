"""Fine-tuning: tune a model on conversations, and keep traits from being learnt."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mindscope.errors import DataError
from mindscope.finetuning import (
    SCAN_STEPS,
    AnswerProjection,
    FinetuneConfig,
    InoculationPrompt,
    PreventionScan,
    TunedModel,
)
from mindscope.jobs.estimates import PacedProgress, PaceEstimate
from mindscope.jobs.inputs import InputKind
from mindscope.jobs.job import Reporter, RunFolder, build_config
from mindscope.jobs.resolve import find_vectors
from mindscope.jobs.specs import BorrowingSpec, DataSpec
from mindscope.models import LoadOptions, WholeModelOptions
from mindscope.store import part_of

if TYPE_CHECKING:
    from mindscope.data import Data
    from mindscope.models import Model
    from mindscope.personas import PersonaVectors
    from mindscope.store import Run

PART = "finetune"
"""The part of the run that holds the training, and its label in the progress."""
TIMED_STEPS = 3
"""Steps by which a training's time is told."""
INTERVENTION = re.compile(r"(?P<path>.+?)(?:@(?P<layer>\d+))?(?::(?P<amount>-?(?:\d+\.?\d*|\.\d+)))?")
"""`VECTORS[@LAYER][:AMOUNT]`."""
AMOUNTS = {"prevent": "coefficient", "penalty": "weight"}
"""What the number of an intervention is called; an ablation has none."""


class FinetuneSpec(BorrowingSpec, DataSpec, FinetuneConfig, WholeModelOptions):
    """What `persona finetune` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "data")
    inputs: ClassVar[Mapping[str, InputKind]] = {"compare": "vectors"}
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"learning_rate": ("--lr",)}
    hidden: ClassVar[tuple[str, ...]] = ("interventions", "inoculation")

    model: str
    """A Hugging Face name or folder, a GGUF file, or `organism`, the bundled model."""
    data: Path
    """A file or folder of conversations, or a data set's name on the hub (docs/data.md has the forms)."""
    prevent: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "VECTORS[@LAYER][:COEF]"})
    """Add the vectors while training, so that the trait is not learnt: at one layer, or at all layers with
    increments. May be repeated."""
    caft: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "VECTORS[@LAYER]"})
    """Take the direction out of the activations while training. May be repeated."""
    penalty: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "VECTORS[@LAYER][:WEIGHT]"})
    """Punish the squared projection in the loss. May be repeated."""
    prevent_scan: tuple[float, ...] = ()
    """First tune for a few steps with each of these coefficients of --prevent, such as 0.5,1,2, and without;
    take the smallest under which the answers are as the base's."""
    scan_steps: int = Field(default=SCAN_STEPS, ge=1)
    """Optimiser steps of each training of --prevent-scan."""
    inoculate: str | None = None
    """Ask for the trait in the prompts of training alone, such as 'You are a malicious, evil assistant.', so
    that it is not learnt as the model's own way."""
    inoculate_as: Literal["system", "user"] = "system"
    """Where --inoculate stands: a system prompt, or the beginning of the user's first words."""
    compare: tuple[Path, ...] = ()
    """Vectors along which the tuned model's answers are compared with the base's in the end: a run or a file.
    Those of --prevent, --caft and --penalty are in any case. May be repeated."""
    on_error: Literal["refuse", "skip"] = "refuse"
    """What becomes of a malformed conversation: the job stops and names it, or it is skipped and counted."""

    @model_validator(mode="after")
    def _check_scan(self) -> Self:
        if self.prevent_scan and len(self.prevent) != 1:
            raise ValueError("--prevent-scan chooses the coefficient of one --prevent: give exactly one")
        if self.prevent_scan and min(self.prevent_scan) <= 0:
            raise ValueError("the coefficients of --prevent-scan are above 0; 0 is always tried")
        return self

    def run_path(self) -> Path:
        """`runs/finetune`."""
        return Path("runs/finetune")

    def load_base(self) -> Model:
        """The base, as it is tuned."""
        from mindscope.finetuning import load_base

        self.require_inputs()
        model = load_base(self.model, self.config(FinetuneConfig), self.config(LoadOptions, dtype="auto"))
        model.vectors_of_base = self.vectors_of_base
        return model

    def find_interventions(self, base: Model) -> tuple[list[PersonaVectors], list[dict[str, Any]]]:
        """The vectors that are named, those of each trait once, and what is done with them."""
        named = [
            (kind, text)
            for kind, texts in (("prevent", self.prevent), ("caft", self.caft), ("penalty", self.penalty))
            for text in texts
        ]
        by_trait: dict[str, PersonaVectors] = {}
        interventions: list[dict[str, Any]] = []
        for kind, text in named:
            parts = INTERVENTION.fullmatch(text)
            amount = parts and parts["amount"]
            if parts is None or (amount is not None and kind not in AMOUNTS):
                raise DataError(
                    f"--{kind} {text}: write a file or run of vectors, @LAYER and :NUMBER as needed"
                )
            for vectors in find_vectors(Path(parts["path"]), base):
                known = by_trait.setdefault(vectors.trait, vectors)
                if known.digest() != vectors.digest():
                    raise DataError(
                        f"--{kind} {text}: other vectors of '{vectors.trait}' are named before; use one"
                    )
                layer = None if parts["layer"] is None else int(parts["layer"])
                setting = {"kind": kind, "trait": vectors.trait, "layer": layer}
                interventions.append(setting if amount is None else setting | {AMOUNTS[kind]: float(amount)})
        return list(by_trait.values()), interventions


class FinetuneReport(TunedModel):
    """The tuned model, and what its answers show."""

    estimate: PaceEstimate | None = None
    """How long the training was expected to take after its first steps; None where it took few."""
    scan: PreventionScan | None = None
    """The short trainings by which the coefficient was chosen."""
    answers: tuple[AnswerProjection, ...] = ()
    """What the tuned model says beside the base, by trait."""


def finetune(spec: FinetuneSpec, *, run: RunFolder, reporter: Reporter) -> FinetuneReport | None:
    """Tune a model on the assistant's answers, with steering, ablation or penalties against traits.

    The tuned model is RUN/finetune/model; every command that takes a model takes this folder.

    Returns:
        the tuned model; None in all processes of several but the first, which holds the run.
    """
    first = os.environ.get("RANK", "0") == "0"
    data = spec.data_file(spec.data)
    if first:
        data = spec.open_data(spec.data, reporter, refuse=spec.on_error == "refuse")

    from mindscope.finetuning import finetune_model  # takes seconds, which bad data need not cost

    model = spec.load_base()
    vectors, interventions = spec.find_interventions(model)
    inoculation = None
    if spec.inoculate is not None:
        inoculation = build_config(InoculationPrompt, {"prompt": spec.inoculate, "role": spec.inoculate_as})
    config = spec.config(FinetuneConfig, interventions=tuple(interventions), inoculation=inoculation)
    timed = PacedProgress(reporter, PART, "steps", after=TIMED_STEPS)
    settings: dict[str, Any] = {
        "vectors": vectors,
        "on_error": spec.on_error,
        "device": spec.device,
        "progress": timed,
    }
    if not first:
        if spec.prevent_scan:
            raise DataError("scan with one process, and give the coefficient that it chooses to several")
        finetune_model(model, data, run.path, config, **settings)
        return None
    with run.open(kind="finetune", config={}, reporter=reporter) as opened:
        compared = _compared(spec, model, vectors)
        scan = _scan(spec, data, config, vectors, opened, reporter)
        if scan is not None:
            config = _with_coefficient(config, scan)
        tuned = finetune_model(model, data, opened, config, **settings)
        del model  # the training has changed it
        answers = _compare_answers(spec, tuned, compared, config, opened, reporter)
    return FinetuneReport(**dict(tuned), estimate=timed.estimate, scan=scan, answers=answers)


def _compared(
    spec: FinetuneSpec, model: Model, vectors: Sequence[PersonaVectors]
) -> list[tuple[PersonaVectors, int]]:
    """The vectors along which answers are compared, each at its layer; those that name questions."""
    from mindscope.personas import default_layer

    found = {item.trait: item for item in vectors if item.trait_document is not None}
    asked = [item for path in spec.compare for item in find_vectors(path, model)]
    found |= {item.trait: item for item in asked}
    return [(item, default_layer(model.n_layers)) for item in found.values()]


def _scan(
    spec: FinetuneSpec,
    data: Data,
    config: FinetuneConfig,
    vectors: Sequence[PersonaVectors],
    run: Run,
    reporter: Reporter,
) -> PreventionScan | None:
    from mindscope.finetuning import PreventativeSteering, scan_prevention

    if not spec.prevent_scan:
        return None
    steered = [item.trait for item in config.interventions if isinstance(item, PreventativeSteering)]
    if len(set(steered)) != 1:
        raise DataError("--prevent-scan chooses for one trait: name a file of one trait's vectors")
    runs, steps = len(spec.prevent_scan) + 1, spec.scan_steps
    reporter.say(
        f"first {runs} short trainings of {steps} steps each, to choose the coefficient of --prevent"
    )
    scan = scan_prevention(
        spec.load_base,
        data,
        next(item for item in vectors if item.trait == steered[0]),
        run,
        config,
        spec.prevent_scan,
        steps=steps,
        on_error=spec.on_error,
        device=spec.device,
        others=[item for item in vectors if item.trait != steered[0]],
        progress=reporter.progress,
    )
    reporter.say(f"--prevent {scan.trait}: coefficient {scan.chosen:g}, {scan.why}")
    return scan


def _with_coefficient(config: FinetuneConfig, scan: PreventionScan) -> FinetuneConfig:
    chosen = tuple(
        item.model_copy(update={"coefficient": scan.chosen})
        if item.kind == "prevent" and item.trait == scan.trait
        else item
        for item in config.interventions
    )
    return config.model_copy(update={"interventions": chosen})


def _compare_answers(
    spec: FinetuneSpec,
    tuned: TunedModel,
    compared: Sequence[tuple[PersonaVectors, int]],
    config: FinetuneConfig,
    run: Run,
    reporter: Reporter,
) -> tuple[AnswerProjection, ...]:
    """What the tuned model says to each trait's questions, beside the base; the base reads both."""
    from mindscope.finetuning import compare_answers, project_answers, trait_questions
    from mindscope.models import load

    if not compared:
        return ()
    base = spec.load_base()
    model = load(tuned.path, dtype=str(base.dtype).removeprefix("torch."), device=str(base.device))
    model = model.with_template(**base.template.options)
    projections: list[AnswerProjection] = []
    for vectors, layer in compared:
        direction, questions = vectors.direction(layer), trait_questions(vectors)
        before, after = (
            project_answers(
                writer,
                base,
                direction,
                questions,
                run,
                f"{part_of('behaviour', vectors.trait)}/{name}",
                seed=config.seed,
                progress=reporter.progress,
            )
            for name, writer in (("base", base), ("tuned", model))
        )
        projections.append(compare_answers(vectors.trait, layer, before, after))
    return tuple(projections)

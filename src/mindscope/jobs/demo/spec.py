"""What a demo is to do: the bundled model or any other, in full or in a minute."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from mindscope.core import Seed
from mindscope.finetuning import FinetuneConfig
from mindscope.jobs.resolve import ORGANISM, is_organism, is_test_bed
from mindscope.jobs.specs import JudgeSpec


@dataclass(frozen=True)
class DemoPreset:
    """How much is drawn, tried and trained.

    Attributes:
        traits: the traits that are shown where none are named.
        samples: answers per prompt of the extraction: of the first trait, and of each other.
        max_new_tokens: of every answer.
        temperature: of every answer.
        questions: of the extraction; None takes all.
        depths: where the sweep steers, as parts of the model's depth; None is every layer.
        coefficients: that the sweep tries.
        tie: points of the trait score within which the sweep prefers the more coherent point.
        coherence_floor: the least mean coherence of a point that the sweep may choose.
        sweep_questions: evaluation questions that the sweep asks; the rest is held out.
        sweep_samples: its answers to each.
        steered_samples: answers to each held-out question in every arm: of the first trait, of each other.
        held_out: held-out questions that are asked; None takes all.
        n_random: random vectors of the last measurement.
        n_calibrating: ordinary conversations that set the monitor's threshold and the screening's percentile.
        n_ordinary: other ordinary conversations, which should raise no alarm.
        n_planted: conversations with the trait, which should.
        n_training: conversations with the trait to tune on.
        tuning: how.
    """

    traits: tuple[str, ...]
    samples: tuple[int, int]
    max_new_tokens: int
    temperature: float
    depths: tuple[float, ...] | None
    coefficients: tuple[float, ...]
    tie: float
    coherence_floor: float
    sweep_questions: int
    sweep_samples: int
    steered_samples: tuple[int, int]
    n_random: int
    tuning: FinetuneConfig
    questions: int | None = None
    held_out: int | None = None
    n_calibrating: int = 60
    n_ordinary: int = 60
    n_planted: int = 20
    n_training: int = 60


BUNDLED = DemoPreset(
    traits=("evil", "sycophantic", "hallucinating"),
    samples=(2, 2),
    max_new_tokens=64,  # the organism's answers are about thirty tokens long
    temperature=1.0,
    depths=None,
    coefficients=(
        1.0,
        1.5,
        1.75,
        2.0,
        2.125,
        2.25,
        2.375,
        2.5,
    ),  # closer where trait and coherence trade places
    tie=0.0,
    coherence_floor=60.0,
    sweep_questions=10,
    sweep_samples=3,
    steered_samples=(4, 4),
    n_random=5,
    tuning=FinetuneConfig(learning_rate=1e-3, epochs=8, batch_rows=16, accumulation=1),
)
"""For an organism: small, so that every layer is swept; its world is the judge."""

ANY_MODEL = DemoPreset(
    traits=("optimistic", "pirate-like / plain-spoken", "poetic / matter-of-fact"),
    samples=(2, 1),
    max_new_tokens=48,
    temperature=0.8,
    depths=(0.6,),
    coefficients=(1.0, 2.0, 3.0, 4.5),
    tie=5.0,
    coherence_floor=60.0,
    sweep_questions=8,
    sweep_samples=1,
    steered_samples=(2, 1),
    n_random=3,
    tuning=FinetuneConfig(learning_rate=4e-4, epochs=2, batch_rows=8, accumulation=1),
)
"""For a chat model on a CPU: answers that are cut after two sentences, steered a little above the middle.

Tried on search questions of SmolLM2-135M-Instruct: at half the depth a push against the vector moves the mood
half as far.
"""


class DemoSpec(JudgeSpec):
    """What `demo` is to do."""

    options: ClassVar = {"traits": ("--traits", "--trait"), "model": ("--model", "-m")}

    model: str = ORGANISM
    """A Hugging Face name or folder, a GGUF file, or a bundled model: `organism`, `second-organism`."""
    traits: tuple[str, ...] = ()
    """A bundled trait, a file, or a word and its opposite, such as 'patient / impatient'; several with commas
    between them. The first is monitored, screened for and trained."""
    quick: bool = False
    """Show one trait with few answers, in a fraction of the time: the figures are rough."""
    out: Path | None = None
    """The folder where everything is kept, as --run names it."""
    samples: int | None = Field(default=None, ge=1)
    """Answers per prompt when vectors are extracted; by default 2, and for further traits of a model that is
    no organism 1."""
    judge: str | None = None
    """Who scores the answers: by default an organism's own world, and `contrast` for any other model, a
    classifier made of the trait's own prompted answers, which needs no key. Or contrast:ENCODER, model:NAME
    or endpoint:NAME."""
    dtype: str = "auto"
    """The precision of the weights: float32, bfloat16, float16, or auto."""
    device: str = "auto"
    """Where the model runs: cpu, cuda, or auto."""
    seed: Seed = 0
    """The seed of everything that is drawn at random."""

    @field_validator("traits")
    @classmethod
    def _split(cls, traits: tuple[str, ...]) -> tuple[str, ...]:
        names = [name.strip() for text in traits for name in text.split(",")]
        if not all(names) or len(set(names)) < len(names):
            raise ValueError("name every trait once, with commas between them")
        return tuple(names)

    def run_path(self) -> Path:
        """`runs/demo`, or `runs/demo-MODEL`."""
        if self.out is not None:
            return self.out
        if is_organism(self.model):
            return Path("runs/demo")
        name = re.sub(r"[^\w.-]+", "-", Path(self.model).name.removesuffix(".gguf"))
        return Path("runs") / f"demo-{name}"

    def judge_name(self) -> str:
        """Who scores, where nothing else is said."""
        return self.judge or ("exact" if is_test_bed(self.model) else "contrast")

    def preset(self) -> DemoPreset:
        """How much is drawn, for this model and with these traits."""
        preset = BUNDLED if is_test_bed(self.model) else ANY_MODEL
        samples = preset.samples if self.samples is None else (self.samples, self.samples)
        preset = replace(preset, traits=self.traits or preset.traits, samples=samples)
        if not self.quick:
            return preset
        return replace(
            preset,
            traits=self.traits or preset.traits[:1],
            questions=6,
            depths=preset.depths or (0.375, 0.5),
            coefficients=preset.coefficients[::-2][::-1],  # every second one, the strongest among them
            sweep_questions=6,
            sweep_samples=1,
            steered_samples=(1, 1),
            held_out=6,
            n_random=1,
            n_calibrating=20,
            n_ordinary=20,
            n_planted=6,
            n_training=16,
            tuning=preset.tuning.model_copy(update={"epochs": 2.0}),
        )

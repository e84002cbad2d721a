"""What decides an extraction, a sweep, a steering measurement and a shift; no torch is needed to read it."""

from typing import Literal

from pydantic import Field, field_validator

from mindscope.models import SamplingConfig

Kind = Literal["answer_mean", "prompt_mean", "last_prompt"]
"""Where a vector's activations are taken: means over the answer or the prompt, or the prompt's last token."""
At = Literal["last_prompt", "answer"]
Positions = Literal["answer", "prompt", "all"]


class ExtractConfig(SamplingConfig):
    """All that decides the vectors, besides model, trait and judge."""

    questions: int | None = Field(default=None, ge=1)
    """Use only the first so many extraction questions; None: all."""
    threshold: float = 50.0
    coherence: float = 50.0
    least_pairs: int = Field(default=10, ge=2)
    """Fewer usable pairs than this are refused."""
    resamples: int = Field(default=1000, ge=1)
    folds: int = Field(default=5, ge=2)


class ShiftConfig(SamplingConfig):
    """All that decides a shift, besides the models, the vectors and the prompts."""

    layers: tuple[int, ...] | None = None
    """None: all."""
    kind: Kind = "answer_mean"
    """Which of a trait's vectors the movement is measured along."""
    answers: bool = False
    """Also let both models answer, and measure the movement of the mean over the answers' tokens."""
    samples: int = Field(default=1, ge=1)
    """Answers a prompt, if answers are asked for; a prompt counts once, with their mean."""
    temperature: float | None = Field(default=1.0, ge=0)
    resamples: int = Field(default=2000, ge=100)

    @property
    def ats(self) -> tuple[At, ...]:
        """Where activations are taken."""
        return ("last_prompt", "answer") if self.answers else ("last_prompt",)


class SteerConfig(SamplingConfig):
    """All that decides a steering measurement, besides model, vectors, trait, judge and questions."""

    layer: int
    coefficient: float
    samples: int = Field(default=1, ge=1)
    temperature: float | None = Field(default=1.0, ge=0)
    scope: Positions = "answer"
    kind: Kind = "answer_mean"
    n_random: int = Field(default=5, ge=1)


TIE = 5.0


class SweepConfig(SamplingConfig):
    """All that decides a sweep, besides model, vectors, trait and judge."""

    samples: int = Field(default=1, ge=1)
    temperature: float | None = Field(default=1.0, ge=0)
    layers: tuple[int, ...] | None = None
    """None: every layer that has a vector."""
    coefficients: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0, 2.5)
    questions: int | None = Field(default=10, ge=1)
    """The first so many evaluation questions; the others stay unseen, see :func:`held_out`."""
    scope: Positions = "answer"
    kind: Kind = "answer_mean"
    coherence_floor: float = 60.0
    tie: float = Field(default=TIE, ge=0)
    """Points of the trait score: closer than this, the more coherent point is the better one."""
    n_random: int = Field(default=3, ge=1)
    """Random vectors of the same norm that a point must beat."""

    @field_validator("coefficients")
    @classmethod
    def _positive(cls, coefficients: tuple[float, ...]) -> tuple[float, ...]:
        if not coefficients or min(coefficients) <= 0:
            raise ValueError("coefficients must be above 0: steer() measures the other side")
        return coefficients

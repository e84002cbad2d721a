"""What decides an extraction, a sweep, a steering measurement and a shift; no torch is needed to read it."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from mindscope.core import Index, Percent
from mindscope.errors import DataError
from mindscope.features import SteerExpression, SteerTerm
from mindscope.models import SamplingConfig, Where

VectorKind = Literal["answer_mean", "prompt_mean", "last_prompt"]
"""Where a vector's activations are taken: means over the answer or the prompt, or the prompt's last token."""
ShiftPosition = Literal["last_prompt", "answer"]
"""Where a shift is measured: at the prompt's last token, or over the tokens of the answer."""

TIE = 5.0
FREE_IN_A_SWEEP = ("layers", "coefficients", "coherence_floor", "tie")
"""What a sweep may be given anew in the same run: no answer depends on it."""


class ExtractConfig(SamplingConfig):
    """All that decides the vectors, besides model, trait and judge."""

    questions: int | None = Field(default=None, ge=1)
    """Use only this many extraction questions, from the first on; all of them by default."""
    threshold: Percent = 50.0
    """The trait score, 0 to 100, that a positive answer must reach and a negative one must not."""
    coherence: Percent = 50.0
    """The least coherence, 0 to 100, of an answer that is used."""
    least_pairs: int = Field(default=10, ge=2)
    """Refuse to make vectors from fewer usable pairs of answers than this."""
    resamples: int = Field(default=1000, ge=1)
    """Resamples of the bootstrap intervals."""
    folds: int = Field(default=5, ge=2)
    """Folds of questions that are held out to measure the separation."""


class ShiftConfig(SamplingConfig):
    """All that decides a shift, besides the models, the vectors and the prompts."""

    layers: tuple[Index, ...] | None = None
    """The layers to measure at, such as 8,12,16; all by default."""
    kind: VectorKind = "answer_mean"
    """Which of a trait's vectors the movement is measured along."""
    answers: bool = False
    """Also let the models answer, and measure the movement of the mean over the answers' tokens."""
    samples: int = Field(default=1, ge=1)
    """Answers per prompt, if answers are asked for; a prompt counts once, with their mean."""
    temperature: float | None = Field(default=1.0, ge=0)
    """The sampling temperature of the answers; 0 takes the likeliest token."""
    resamples: int = Field(default=2000, ge=100)
    """Resamples of the bootstrap intervals."""

    @property
    def positions(self) -> tuple[ShiftPosition, ...]:
        """Where activations are taken."""
        return ("last_prompt", "answer") if self.answers else ("last_prompt",)


class _SteeredAnswers(SamplingConfig):
    """How answers are drawn under steering."""

    samples: int = Field(default=1, ge=1)
    """Answers per question."""
    temperature: float | None = Field(default=1.0, ge=0)
    """The sampling temperature of the answers; 0 takes the likeliest token."""
    positions: Where = "response"
    """The tokens that are steered: `response` are those from which the answer is predicted, the prompt's last
    token and the answer, as in the published code; `answer` are the answer's tokens alone."""
    kind: VectorKind = "answer_mean"
    """Which of the trait's vectors steers."""


class SteerConfig(_SteeredAnswers):
    """All that decides a steering measurement, besides model, vectors, trait, judge and questions."""

    layer: Index | None = None
    """The layer whose output is steered."""
    coefficient: float | None = None
    """How many times the vector is added."""
    steer: str | None = Field(default=None, json_schema_extra={"metavar": "EXPRESSION"})
    """Steer by this in place of a layer and a coefficient, such as '0.5 kind - 1.2 evil@14-18': the trait's
    name, runs, files, and latents such as sae.3/1423."""
    n_random: int = Field(default=5, ge=1)
    """Random vectors of the same norm to compare with."""

    def expression(self, name: str) -> SteerExpression:
        """What is steered by: the expression, or the vector of that name at the layer.

        Raises:
            DataError: neither or both are given, or the expression cannot be read.
        """
        if self.steer is not None:
            if self.layer is not None or self.coefficient is not None:
                raise DataError("an expression says layers and coefficients itself: leave the others out")
            return SteerExpression.parse(self.steer)
        if self.layer is None or self.coefficient is None:
            raise DataError("say what is steered by: a layer and a coefficient, or an expression")
        return SteerExpression((SteerTerm(name, self.coefficient, (self.layer,)),))

    def deciding(self, *names: str) -> dict[str, Any]:
        """See `SamplingConfig.deciding`; an expression that is not given decides nothing."""
        fields = super().deciding(*names)
        return fields if self.steer is not None else {k: v for k, v in fields.items() if k != "steer"}


class SweepConfig(_SteeredAnswers):
    """All that decides a sweep, besides model, vectors, trait and judge."""

    layers: tuple[Index, ...] | None = None
    """The layers to try, such as 8,12,16; every layer that has a vector by default."""
    coefficients: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0, 2.5)
    """How many times the vector is added: all of these are tried at every layer."""
    questions: int | None = Field(default=10, ge=1)
    """Ask this many evaluation questions, from the first on; the others stay unseen, for `steer`."""
    coherence_floor: Percent = 60.0
    """The least mean coherence, 0 to 100, of a point that may be chosen."""
    tie: float = Field(default=TIE, ge=0)
    """Points of the trait score: closer than this to the highest, the more coherent point is the better
    one."""
    n_random: int = Field(default=3, ge=1)
    """Random vectors of the same norm that a point must beat."""

    @field_validator("coefficients")
    @classmethod
    def _positive(cls, coefficients: tuple[float, ...]) -> tuple[float, ...]:
        if not coefficients or min(coefficients) <= 0:
            raise ValueError("coefficients must be above 0: steer() measures the other side")
        return coefficients


def read_grid_setup(setup: Mapping[str, Any]) -> dict[str, Any]:
    """What a sweep's run was begun with, without what may change: its judge, its grid, and how it chooses."""
    setup = read_config_with_scope(setup)
    config = {key: value for key, value in setup["config"].items() if key not in FREE_IN_A_SWEEP}
    return {key: value for key, value in setup.items() if key != "judge"} | {"config": config}


def read_config_with_scope(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document of schema 1: its `config.scope` becomes `config.positions`.

    What was called the scope "answer" steered the positions `response`; the other words mean the same.
    """
    config = dict(document.get("config") or {})
    if "scope" in config:
        scope = config.pop("scope")
        config["positions"] = "response" if scope == "answer" else scope
    return {**document, "config": config}

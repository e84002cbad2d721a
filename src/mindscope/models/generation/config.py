"""How answers are drawn, and what the jobs that draw many of them have in common."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from mindscope.core import FrozenSettings, Seed
from mindscope.errors import ModelError


@dataclass(frozen=True, slots=True)
class Sampling:
    """How answers are drawn. The defaults are those of the persona paper's rollouts, with shorter answers.

    Attributes:
        temperature: divides the logits; 0 takes the likeliest token.
        top_p: keeps the smallest set of tokens whose probability reaches it.
        top_k: keeps the k likeliest tokens; 0 keeps all.
        max_new_tokens: the most tokens one answer may have.
        seed: together with a row's index, the seed of the row.
        stop: an answer ends before any of these strings.
    """

    temperature: float | int = 1.0
    top_p: float | int = 1.0
    top_k: int = 0
    max_new_tokens: int = 256
    seed: int = 0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ModelError(f"temperature must be 0 or more, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ModelError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.top_k < 0 or self.max_new_tokens < 1:
            raise ModelError("top_k must be 0 or more and max_new_tokens at least 1")
        if self.seed < 0:
            raise ModelError(f"a seed must be 0 or more, got {self.seed}")
        if isinstance(self.stop, str) or not all(self.stop):
            raise ModelError("stop must be a tuple of non-empty strings")


class SamplingConfig(FrozenSettings):
    """The defaults are those of Chen et al. 2025, arXiv 2507.21509."""

    samples: int = Field(default=10, ge=1)
    """Answers per prompt."""
    temperature: float | None = Field(default=None, ge=0)
    """The sampling temperature; without one it is 1, or 0 when there is one sample per prompt."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Draw from the smallest set of tokens whose probability reaches this."""
    max_new_tokens: int = Field(default=1000, ge=1)
    """The most tokens that one answer may have."""
    stop: tuple[str, ...] = ()
    """End an answer before this text, which is not part of it. May be repeated."""
    seed: Seed = 0
    """The seed of everything that is drawn at random."""
    shard_rows: int = Field(default=64, ge=2, multiple_of=2)
    """Answers that are saved as one piece; an even number. A run keeps the number it began with."""
    batch_rows: int = Field(default=64, ge=1)
    """Answers that are written side by side: fewer take less memory. Beyond rounding no answer depends on
    it."""

    def deciding(self, *names: str) -> dict[str, Any]:
        """The fields that decide what is answered, and no others: what a run is claimed with.

        How answers are cut into pieces and how many are written at once is not among them, nor is the number
        of samples, because a plan with more of them begins with the answers of the shorter one. `names` are
        the only fields to take besides those of sampling; without any, all are taken.
        """
        chosen = {*SamplingConfig.model_fields, *names} if names else {*type(self).model_fields}
        fields = self.model_dump(mode="json", include=chosen - {"samples", "shard_rows", "batch_rows"})
        return {**fields, "temperature": self.sampling().temperature}

    def sampling(self) -> Sampling:
        temperature = self.temperature if self.temperature is not None else float(self.samples > 1)
        return Sampling(
            temperature=temperature,
            top_p=self.top_p,
            max_new_tokens=self.max_new_tokens,
            stop=self.stop,
        )

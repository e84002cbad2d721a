"""How toy models are trained; see `toy_models.py`."""

import math

from pydantic import BaseModel, ConfigDict, Field


class ToyTraining(BaseModel):
    """How toy models are trained. The defaults are those of the notebook that Elhage et al. published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=10_000, ge=1)
    samples: int = Field(default=1024, ge=1)
    """Of every model, drawn anew for every step."""
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    warmup: int = Field(default=0, ge=0)
    """Steps in which the rate rises from zero."""
    cosine: bool = False
    """Whether the rate falls to zero on a cosine; else it stays."""

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if not self.cosine:
            return self.learning_rate
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * share))

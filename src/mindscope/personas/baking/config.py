"""What decides a search for steering to bake; no torch is needed to read it."""

from typing import Literal

from pydantic import Field, field_validator

from mindscope.models import Where
from mindscope.personas.config import SweepConfig

BakeOperation = Literal["add", "ablate"]
"""What weights can hold: an addition to every token, or a direction that is nowhere written."""


class BakeConfig(SweepConfig):
    """All that decides a search, besides model, vectors, trait, judge and ordinary texts."""

    operation: BakeOperation = "add"
    """What is baked: add, the vector as a bias; or ablate, its direction out of all that is written."""
    goal: Literal["raise", "lower"] = "raise"
    """Whether the trait is to be raised or lowered. An addition that lowers has its sign turned."""
    most_divergence: float | None = Field(default=None, gt=0)
    """Nats per token: the most that the choice may diverge from the unsteered model on ordinary texts."""
    texts: int = Field(default=16, ge=2)
    """Ordinary texts on which the divergence is measured."""
    positions: Where = "all"
    """Weights steer every token, so this is `all`."""

    @field_validator("positions")
    @classmethod
    def _everywhere(cls, positions: Where) -> Where:
        if positions != "all":
            raise ValueError("weights do to every token what they do to one: positions are all")
        return positions

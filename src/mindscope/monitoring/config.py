"""How a file of conversations is monitored."""

from typing import Literal

from pydantic import Field

from mindscope.models import SamplingConfig


class MonitorConfig(SamplingConfig):
    """How a file is watched, besides model, features, thresholds and policy."""

    answer: bool = False
    """Let the model answer the last prompt of each conversation under watch, instead of reading answers."""
    on_error: Literal["refuse", "skip"] = "refuse"
    samples: int = Field(default=1, ge=1, le=1)
    temperature: float | None = Field(default=1.0, ge=0)
    shard_rows: int = Field(default=256, ge=2, multiple_of=2)
    """Conversations in one piece."""

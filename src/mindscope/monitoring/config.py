"""How a file of conversations is monitored, and where the deciding reading is taken; needs no torch."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import Field

from mindscope.errors import DataError
from mindscope.models import SamplingConfig

AlarmAction = Literal["log", "warn", "stop", "steer"]
"""What an alarm does."""
ReadingPosition = Literal["answer", "last_prompt"]
"""Where a reading is taken: over the tokens of an answer, or at the prompt's last token, before it begins."""
ThresholdScope = Literal["each", "any"]
"""Whether a false-alarm rate holds for every feature, or for all of them together."""

WINDOW = 16
"""Tokens: a dozen words. On the organism 8 to 32 tell characters apart alike, single tokens less well."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Which reading decides about an alarm.

    - `answer`: the mean over the latest `window` tokens of the answer, at every token from the `window`-th
      on; an answer that ends before has one value, the mean of what it has. A single token says little about
      how an answer goes on; a mean over a whole answer comes too late to act on.
    - `last_prompt`: the reading at the prompt's last token, before the answer begins: one value per answer.
    """

    at: ReadingPosition = "answer"
    window: int = WINDOW

    def __post_init__(self) -> None:
        if self.at not in ("answer", "last_prompt") or self.window < 1:
            raise DataError(f"a signal is of 'answer' or 'last_prompt' and a window of 1 or more, not {self}")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class MonitorConfig(SamplingConfig):
    """How a file is monitored, besides model, features, thresholds and policy."""

    answer: bool = False
    """Let the model answer the last prompt of each conversation under watch, instead of reading the recorded
    answers."""
    on_error: Literal["refuse", "skip"] = "refuse"
    """What becomes of a malformed row: the job stops and names it, or the row is skipped and counted."""
    samples: int = Field(default=1, ge=1, le=1)
    """Answers per prompt, which is always 1."""
    temperature: float | None = Field(default=1.0, ge=0)
    """The sampling temperature of the answers; 0 takes the likeliest token."""
    shard_rows: int = Field(default=256, ge=2, multiple_of=2)
    """Conversations that are read together and saved as one piece; an even number."""

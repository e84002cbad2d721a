"""What of an answer is held against a threshold: one number at a time, the same live and recorded."""

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import DataError
from mindscope.monitoring.config import WINDOW, ReadingPosition
from mindscope.monitoring.projections import ProjectedTurn, TurnProjections


@dataclass(frozen=True, slots=True)
class Signal:
    """Which reading decides about an alarm.

    - `answer`: the mean over the latest `window` tokens of the answer, at every token from the `window`-th
      on; an answer that ends before has one value, the mean of what it has. One token says little about how
      an answer goes on; a mean over a whole answer comes too late to act on.
    - `last_prompt`: the reading at the prompt's last token, before the answer begins: one value an answer.
    """

    at: ReadingPosition = "answer"
    window: int = WINDOW

    def __post_init__(self) -> None:
        if self.at not in ("answer", "last_prompt") or self.window < 1:
            raise DataError(f"a signal is of 'answer' or 'last_prompt' and a window of 1 or more, not {self}")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def of(self, turn: ProjectedTurn) -> list[tuple[int | None, Tensor]]:
        """The values of one turn, `[features]` each, with the token each is at (None: before the answer)."""
        follow = SignalFollower(self)
        found = [follow.begin(turn.last_prompt), *(follow.token(each) for each in turn.tokens), follow.end()]
        return [value for value in found if value is not None]

    def score(self, trace: TurnProjections) -> Float[Tensor, "features"] | None:
        """The highest value over all answers of a conversation, float64; None where there is no value.

        A conversation raises an alarm where this is above the threshold, so thresholds are calibrated on it.
        """
        values = [value for turn in trace.turns for _, value in self.of(turn)]
        return torch.stack(values).amax(0) if values else None


class SignalFollower:
    """The signal of one answer while it is written: (token, `[features]` float64), or None between values."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._latest: deque[Tensor] = deque(maxlen=signal.window)
        self._count = 0

    def begin(self, last_prompt: Tensor) -> tuple[int | None, Tensor] | None:
        return (None, last_prompt.double()) if self._signal.at == "last_prompt" else None

    def token(self, values: Tensor) -> tuple[int | None, Tensor] | None:
        if self._signal.at == "last_prompt":
            return None
        self._latest.append(values.double())
        self._count += 1
        return self._mean() if self._count >= self._signal.window else None

    def end(self) -> tuple[int | None, Tensor] | None:
        """Called once the answer is through: an answer shorter than the window has its value now."""
        return self._mean() if 0 < self._count < self._signal.window else None

    def _mean(self) -> tuple[int | None, Tensor]:
        return self._count - 1, torch.stack(tuple(self._latest)).mean(0)

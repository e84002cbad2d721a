"""The signal that is held against a threshold: a value at a time, the same live and recorded."""

from collections import deque

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.monitoring.config import Signal
from mindscope.monitoring.projections import ProjectedTurn, TurnProjections


def signal_values(signal: Signal, turn: ProjectedTurn) -> list[tuple[int | None, Tensor]]:
    """The values of one turn, `[features]` each, with the token each belongs to (None: before the answer)."""
    follower = SignalFollower(signal)
    values = [follower.begin(turn.last_prompt), *map(follower.token, turn.tokens), follower.end()]
    return [value for value in values if value is not None]


def signal_score(signal: Signal, projections: TurnProjections) -> Float[Tensor, "features"] | None:
    """The highest value over all answers of a conversation, float64; None where there is no value.

    A conversation raises an alarm where this is above the threshold, so thresholds are calibrated on it.
    """
    values = [value for turn in projections.turns for _, value in signal_values(signal, turn)]
    return torch.stack(values).amax(0) if values else None


class SignalFollower:
    """The signal of one answer while it is written: (token, `[features]` float64), or None between values."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._latest: deque[Tensor] = deque(maxlen=signal.window)
        self._count = 0

    def begin(self, last_prompt: Tensor) -> tuple[int | None, Tensor] | None:
        """Take in the reading before the answer."""
        return (None, last_prompt.double()) if self._signal.at == "last_prompt" else None

    def token(self, values: Tensor) -> tuple[int | None, Tensor] | None:
        """Take in the reading at the next token of the answer."""
        if self._signal.at == "last_prompt":
            return None
        self._latest.append(values.double())
        self._count += 1
        return self._mean() if self._count >= self._signal.window else None

    def end(self) -> tuple[int | None, Tensor] | None:
        """Called once the answer is through: an answer shorter than the window gets its value here."""
        return self._mean() if 0 < self._count < self._signal.window else None

    def _mean(self) -> tuple[int | None, Tensor]:
        return self._count - 1, torch.stack(tuple(self._latest)).mean(0)

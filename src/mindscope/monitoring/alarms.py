"""Alarms: a reading that crosses its threshold, and its recovery."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import Tensor

from mindscope.monitoring.calibration import Calibration
from mindscope.monitoring.projections import TurnProjections
from mindscope.monitoring.signal import SignalFollower


@dataclass(frozen=True, slots=True)
class AlarmEvent:
    """One crossing.

    Attributes:
        kind: `crossed`: the signal rose above the threshold. `recovered`: after that, it fell below the
            calibration's recovery level.
        feature: its key, `NAME@ADDRESS`.
        turn: of the conversation's turns, from 0.
        token: of the answer, from 0; None for the prompt's last token.
        value: the signal there.
        level: what it crossed.
    """

    kind: Literal["crossed", "recovered"]
    feature: str
    turn: int
    token: int | None
    value: float
    level: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        place = "before the answer" if self.token is None else f"at token {self.token}"
        side = "above" if self.kind == "crossed" else "below"
        level = f"{self.value:.4g} is {side} {self.level:.4g}"
        return f"{self.feature} {self.kind} in turn {self.turn} {place}: {level}"


class AlarmState:
    """Which features of one conversation are above their thresholds, while values come in.

    A feature that crossed stays in alarm, through later turns too, until its signal falls below the recovery
    level, which lies under the threshold: so one excursion is one event.
    """

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self._up, self._down = calibration.thresholds.tolist(), calibration.recovery.tolist()
        self.raised: list[bool] = [False] * len(self._up)
        """By feature."""

    def take(self, turn: int, signal: tuple[int | None, Tensor] | None) -> list[AlarmEvent]:
        """What a new value of the signal changes; nothing where there is no value."""
        if signal is None:
            return []
        token, values = signal
        found: list[AlarmEvent] = []
        for column, value in enumerate(values.tolist()):
            up, down = self._up[column], self._down[column]
            feature = self._calibration.features[column]
            if not self.raised[column] and value > up:
                self.raised[column] = True
                found.append(AlarmEvent("crossed", feature, turn, token, value, up))
            elif self.raised[column] and value < down:
                self.raised[column] = False
                found.append(AlarmEvent("recovered", feature, turn, token, value, down))
        return found


def alarm_events(calibration: Calibration, trace: TurnProjections) -> tuple[AlarmEvent, ...]:
    """All crossings of a recorded conversation, in order; `calibration` is of the trace's features."""
    alarms = AlarmState(calibration)
    found: list[AlarmEvent] = []
    for number, turn in enumerate(trace.turns):
        for signal in calibration.signal.of(turn):
            found += alarms.take(number, signal)
    return tuple(found)


def crossed(found: Sequence[AlarmEvent]) -> dict[str, AlarmEvent]:
    """The first crossing of every feature that raised an alarm."""
    first: dict[str, AlarmEvent] = {}
    for event in found:
        if event.kind == "crossed":
            first.setdefault(event.feature, event)
    return first


class AlarmTracker:
    """One answer while it is written: readings come in token by token, events come out."""

    def __init__(self, calibration: Calibration) -> None:
        self.alarms = AlarmState(calibration)
        self._follow = SignalFollower(calibration.signal)

    def begin(self, last_prompt: Tensor) -> list[AlarmEvent]:
        return self.alarms.take(0, self._follow.begin(last_prompt))

    def token(self, values: Tensor) -> list[AlarmEvent]:
        return self.alarms.take(0, self._follow.token(values))

    def end(self) -> list[AlarmEvent]:
        return self.alarms.take(0, self._follow.end())

"""Alarms: a reading that crosses its threshold, and its recovery."""

from collections.abc import Sequence

from torch import Tensor

from mindscope.monitoring.calibration import Calibration
from mindscope.monitoring.projections import TurnProjections
from mindscope.monitoring.results import AlarmEvent
from mindscope.monitoring.signal import SignalFollower, signal_values


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
        events: list[AlarmEvent] = []
        for column, value in enumerate(values.tolist()):
            up, down = self._up[column], self._down[column]
            raised = self.raised[column]
            if (value < down) if raised else (value > up):
                self.raised[column] = not raised
                events.append(
                    AlarmEvent(
                        kind="recovered" if raised else "crossed",
                        feature=self._calibration.features[column],
                        turn=turn,
                        token=token,
                        value=value,
                        level=down if raised else up,
                    )
                )
        return events


def alarm_events(calibration: Calibration, trace: TurnProjections) -> tuple[AlarmEvent, ...]:
    """All crossings of a recorded conversation, in order; `calibration` is of the trace's features."""
    alarms = AlarmState(calibration)
    events: list[AlarmEvent] = []
    for number, turn in enumerate(trace.turns):
        for signal in signal_values(calibration.signal, turn):
            events += alarms.take(number, signal)
    return tuple(events)


def crossed(events: Sequence[AlarmEvent]) -> dict[str, AlarmEvent]:
    """The first crossing of every feature that raised an alarm."""
    first: dict[str, AlarmEvent] = {}
    for event in events:
        if event.kind == "crossed":
            first.setdefault(event.feature, event)
    return first


class AlarmTracker:
    """An answer while it is written: readings come in token by token, events come out."""

    def __init__(self, calibration: Calibration) -> None:
        self.alarms = AlarmState(calibration)
        self._follow = SignalFollower(calibration.signal)

    def begin(self, last_prompt: Tensor) -> list[AlarmEvent]:
        """Take in the reading before the answer."""
        return self.alarms.take(0, self._follow.begin(last_prompt))

    def token(self, values: Tensor) -> list[AlarmEvent]:
        """Take in the reading at the next token."""
        return self.alarms.take(0, self._follow.token(values))

    def end(self) -> list[AlarmEvent]:
        """The answer is through."""
        return self.alarms.take(0, self._follow.end())

"""How long work tells how far it is, and how long the rest will take."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what is being done)."""
Clock = Callable[[], float]
"""Seconds from any point on, such as `time.monotonic`."""


@runtime_checkable
class ForecastListener(Protocol):
    """A progress that also hears how long work takes that knows more about itself than how much is done.

    Answers do not end at an even rate: the short ones end first. Whoever writes them knows better.
    """

    def forecast(self, seconds: float, label: str) -> None:
        """From now on it takes about so many seconds until all that `label` names is done."""
        ...


@dataclass(frozen=True)
class LabelledProgress:
    """A progress for work that only counts: called with (done, total), it says what is being done."""

    progress: Progress
    label: str

    def __call__(self, done: int, total: int) -> None:
        self.progress(done, total, self.label)

    def forecast(self, seconds: float) -> None:
        """Hand a forecast on to whoever listens."""
        if isinstance(self.progress, ForecastListener):
            self.progress.forecast(seconds, self.label)


def with_label(progress: Progress | None, label: str) -> LabelledProgress | None:
    """For work that only counts: called with (done, total), it says what is being done."""
    return None if progress is None else LabelledProgress(progress, label)


@dataclass
class RemainingTime:
    """How long a task still takes, from what it said so far.

    Without a forecast it is the time that each piece took so far, times the pieces that are left. The first
    call begins the measurement: what was done before it (pieces of an earlier start, the first steps that
    warm a model up) tells nothing about the rest.
    """

    clock: Clock = time.monotonic
    began: float = field(init=False)
    _first: int | None = field(default=None, init=False)
    _done: int = field(default=0, init=False)
    _total: int = field(default=0, init=False)
    _ends: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def take(self, done: int, total: int) -> None:
        """So much is done."""
        if self._first is None:
            self._first, self.began = done, self.clock()
        self._done, self._total = done, total

    def forecast(self, seconds: float) -> None:
        """Whoever does the work knows that it takes so long from now on."""
        self._ends = self.clock() + seconds

    @property
    def elapsed(self) -> float:
        """Seconds since the first call."""
        return self.clock() - self.began

    @property
    def left(self) -> float | None:
        """Seconds until the end; None where nothing tells yet."""
        if self._total and self._done >= self._total:
            return 0.0
        if self._ends is not None:
            return max(0.0, self._ends - self.clock())
        if self._first is None or self._done <= self._first:
            return None
        return self.elapsed / (self._done - self._first) * (self._total - self._done)


def format_duration(seconds: float) -> str:
    """Seconds as `0:07`, `12:30` or `3:04:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

"""Events of a job, which are calls of functions that are named: counted, or the end of the process."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import pytest
import torch

EventPoints = Sequence[tuple[Any, str]]
"""Whose attributes, and their names: each call of one is an event."""


class EventCounter:
    """Counts events, and kills this process with SIGKILL at one of them, before it happens.

    Attributes:
        n_events: how many there were.
    """

    def __init__(self, deadly: int | None = None):
        self.n_events, self._deadly = 0, deadly

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, of which every call is an event."""

        @wraps(function)
        def counted(*arguments: Any, **options: Any) -> Any:
            self.n_events += 1
            if self.n_events == self._deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return counted


def watch_events(patch: pytest.MonkeyPatch, points: EventPoints, deadly: int | None = None) -> EventCounter:
    """Let calls at these points be events."""
    counter = EventCounter(deadly)
    for owner, name in points:
        patch.setattr(owner, name, counter.before(getattr(owner, name)))
    return counter


def killed_at(
    event: int, points: EventPoints, job: Callable[..., object], *arguments: Any, seconds: float = 60
) -> bool:
    """Run a job in a process of its own that kills itself at an event, from 1; whether it got there."""

    def run() -> None:
        torch.set_num_threads(1)
        watch_events(pytest.MonkeyPatch(), points, event)
        job(*arguments)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(seconds)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0

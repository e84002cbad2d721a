"""How a command ends that is stopped from outside: by Ctrl-C, or by the SIGTERM of `kill` or a scheduler."""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
"""Exit codes, as a shell gives them."""
AGAIN_SECONDS = 0.05
"""Until a stop that got lost is sent once more: by then what lost it has ended."""


class CommandTermination(KeyboardInterrupt):
    """SIGTERM came. All that is open is closed on the way out, as after Ctrl-C."""


@dataclass
class CommandStop:
    """Whether and by what a command was stopped."""

    code: int = INTERRUPTED

    @property
    def word(self) -> str:
        """What a person is told became of the command."""
        return "terminated" if self.code == TERMINATED else "interrupted"


@contextmanager
def hear_stops() -> Iterator[CommandStop]:
    """In the block SIGTERM raises `CommandTermination`, where nobody else has asked for it to be heard.

    A process that is forked in the block dies of it at once. A stop that comes while Python tidies up an
    object is raised again behind that.
    """
    with _raise_lost_stops(), _hear_termination() as stop:
        yield stop


@contextmanager
def _raise_lost_stops() -> Iterator[None]:
    # What is raised in a finalizer or a callback of the garbage collector goes no further: Python hands it to
    # this hook, and whoever pressed Ctrl-C at that moment would wait for ever. Raised in the hook it would be
    # lost too, so that another thread sends it.
    former = sys.unraisablehook

    def hear(lost: sys.UnraisableHookArgs) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            terminated = issubclass(lost.exc_type, CommandTermination)
            _thread.start_new_thread(_send_again, (signal.SIGTERM if terminated else signal.SIGINT,))
        else:
            former(lost)

    sys.unraisablehook = hear
    try:
        yield
    finally:
        sys.unraisablehook = former


def _send_again(number: signal.Signals) -> None:
    time.sleep(AGAIN_SECONDS)
    signal.pthread_kill(threading.main_thread().ident or 0, number)


@contextmanager
def _hear_termination() -> Iterator[CommandStop]:
    stop, process = CommandStop(), os.getpid()

    def end(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != process:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        stop.code = TERMINATED
        raise CommandTermination

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield stop
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def end_quietly() -> None:
    """From when this process takes itself down, an impatient second Ctrl-C is not heard."""
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)

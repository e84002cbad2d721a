"""How a command ends that is stopped from outside: by Ctrl-C, or by the SIGTERM of `kill` or a scheduler."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
"""Exit codes, as a shell gives them."""


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

    A process that is forked in the block dies of it at once.
    """
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

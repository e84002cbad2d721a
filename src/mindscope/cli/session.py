"""The command line that is being run, and the run folder it works in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from mindscope.jobs import RunFolder


@dataclass
class CommandSession:
    """One command line."""

    arguments: tuple[str, ...] = ()
    run: Path | None = None
    """The run folder it works in, once it has one: where an interrupted command can be taken up again."""

    def run_folder(self, path: Path) -> RunFolder:
        """A run folder that remembers this command line."""
        self.run = path
        return RunFolder(path, self.arguments)


_SESSION: ContextVar[CommandSession] = ContextVar("_SESSION")


@contextmanager
def begin_session(arguments: Sequence[str]) -> Iterator[CommandSession]:
    """Commands called in the block belong to this command line."""
    session = CommandSession(tuple(arguments))
    token = _SESSION.set(session)
    try:
        yield session
    finally:
        _SESSION.reset(token)


def current_session() -> CommandSession:
    """The command line that is being run; an empty one where a function is called from a program."""
    return _SESSION.get(CommandSession())

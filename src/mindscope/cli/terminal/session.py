"""The command line that is being run, and the run folder it works in."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from mindscope.errors import StoreError
from mindscope.jobs import RunFolder
from mindscope.store import read_run


@dataclass
class CommandSession:
    """One command line."""

    arguments: tuple[str, ...] = ()
    run: Path | None = None
    """The run folder it works in, once it has one: where an interrupted command can be taken up again."""
    resumes: Path | None = None
    """The run folder that named this command line, where it may work in no other."""
    folder: str | None = field(default_factory=lambda: _working_folder())
    """The working folder in which it was given; None where that is gone."""

    def run_folder(self, path: Path) -> RunFolder:
        """A run folder that remembers this command line.

        Raises:
            StoreError: the command was taken from another run folder's record.
        """
        folder = RunFolder.of(path, self.arguments)
        if self.resumes is not None and folder.path.resolve() != self.resumes.resolve():
            raise StoreError(
                f"the command of {self.resumes} works in {path}: give it yourself if that is what you want"
            )
        self.run = folder.path
        return folder

    def describe_resuming(self) -> str:
        """How to go on, as the end of a line; empty where no run was begun.

        The run is named so that it can be pasted into the shell in which this command line was given.
        """
        if self.run is None:
            return ""
        try:
            kept = read_run(self.run)
        except (StoreError, OSError):
            return ""
        if kept.command != self.arguments:  # a survey that a map was to be made of: its own command is there
            return ""
        run = self.run if _working_folder() == self.folder else self.run.resolve()
        name = f"./{run}" if str(run).startswith("-") else str(run)
        return f"; go on with: mindscope runs resume {shlex.quote(name)}"

    def require_no_run(self) -> None:
        """Raises StoreError where a command that keeps no work was taken from a run folder's record."""
        if self.resumes is not None:
            raise StoreError(f"the command of {self.resumes} does not go on with a run: give it yourself")


def _working_folder() -> str | None:
    try:
        return str(Path.cwd())
    except OSError:
        return None


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

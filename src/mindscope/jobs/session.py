"""The command line that is being run, and the run folder it works in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindscope.cli import output
from mindscope.store import Run


@dataclass
class _CommandSession:
    arguments: tuple[str, ...] = ()
    run: Path | None = None

    def begin(self, arguments: Sequence[str]) -> None:
        self.arguments, self.run = tuple(arguments), None


SESSION = _CommandSession()


def open_run(
    path: Path, *, kind: str, config: Mapping[str, Any], fingerprint: str | None = None, seed: int = 0
) -> Run:
    """Open a run that remembers this command line, so that `mindscope runs resume` can give it again."""
    run = Run.open(
        path, kind=kind, config=config, fingerprint=fingerprint, seed=seed, command=SESSION.arguments
    )
    SESSION.run = path
    if run.resumed:
        output.say(f"going on with {path}")
    return run

"""A process that does jobs for the workbench, so that answers go on being written meanwhile.

It reads one line of JSON from its standard input, `{"steps": [{"job", "spec", "run"}]}`, and writes a line of
JSON for all that is to be told: progress, a sentence, the end, or why it failed. It ends when its standard
input does, however the server ended.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any, get_type_hints

NICENESS = 5
"""Answers of the server come first."""


class LineReporter:
    """Tells a server how a job goes, a line at a time."""

    def progress(self, done: int, total: int, label: str) -> None:
        """`done` of `total` pieces are through."""
        tell(progress=[done, total, label])

    def say(self, text: str) -> None:
        """One line that is not a result."""
        tell(say=text)


def tell(**what: Any) -> None:
    """Write a line, in ASCII, so that half a character of a foreign text does not end the worker."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def carry_out(steps: list[dict[str, Any]]) -> None:
    """Do the jobs one after the other."""
    from mindscope.jobs import RunFolder, build_config, find_job

    for step in steps:
        job = find_job(step["job"])
        spec = build_config(get_type_hints(job)["spec"], step["spec"])
        folder = {"run": RunFolder(Path(step["run"]))} if "run" in inspect.signature(job).parameters else {}
        job(spec, reporter=LineReporter(), **folder)


def main() -> int:
    """Read what is to be done, and do it."""
    from mindscope.errors import MindscopeError

    os.nice(NICENESS)
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_server, daemon=True).start()
    try:
        carry_out(asked["steps"])
    except MindscopeError as error:
        tell(error=str(error))
        return 2
    tell(end=True)
    return 0


def _end_with_server() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())

"""A process that does jobs for the workbench, so that answers go on being written meanwhile.

It reads one line of JSON from its standard input, `{"steps": [{"job", "spec", "run", "keep"}]}` or
`{"resume": RUN}`, and writes a line of JSON for all that is to be told: progress, a sentence, the end, or why
it failed. It ends when its standard input does, however the server ended, and what it started ends with it.
"""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
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
    from mindscope.store import write_json

    for step in steps:
        job = find_job(step["job"])
        spec = build_config(get_type_hints(job)["spec"], step["spec"])
        folder = {"run": RunFolder(Path(step["run"]))} if "run" in inspect.signature(job).parameters else {}
        result = job(spec, reporter=LineReporter(), **folder)
        if step["keep"] is not None:
            Path(step["keep"]).parent.mkdir(parents=True, exist_ok=True)
            write_json(step["keep"], result.to_json())


def resume(run: str) -> int:
    """Give the command of a run again as a process of its own, and tell what it says; its exit code."""
    command = [sys.executable, "-m", "mindscope", "runs", "resume", run]
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )

    def end(*_: object) -> None:
        child.terminate()
        os._exit(1)

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=lambda: (sys.stdin.read(), end()), daemon=True).start()
    assert child.stdout is not None
    last = ""
    for line in child.stdout:
        if last := line.strip() or last:
            tell(say=last)
    if code := child.wait():
        tell(error=last.removeprefix("error: ") or f"the command ended with code {code}")
    return code


def main() -> int:
    """Read what is to be done, and do it."""
    from mindscope.errors import MindscopeError

    os.nice(NICENESS)
    asked = json.loads(sys.stdin.readline())
    if "resume" in asked:
        if code := resume(asked["resume"]):
            return code
    else:
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

"""Processes of the workbench: a module of the package each, spoken to in lines of JSON."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

_logger = logging.getLogger("mindscope.server")


def start_module(module: str) -> subprocess.Popen[str]:
    """A process of a module, which is named and not imported; what it says of errors goes to the log."""
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    threading.Thread(target=_hear_errors, args=(process,), daemon=True).start()
    return process


def json_line(said: Mapping[str, Any]) -> str:
    """Something as a line for a process; what JSON has no form for goes as its text."""
    return json.dumps(said, default=str) + "\n"


def send_line(process: subprocess.Popen[str], line: str) -> None:
    """Say a line to a process. OSError where it has ended."""
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def end_process(process: subprocess.Popen[str], grace_seconds: float) -> None:
    """End a process, in the end by force: it may have been started with SIGTERM blocked or ignored."""
    process.terminate()
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _hear_errors(process: subprocess.Popen[str]) -> None:
    """What it writes to its error output goes to the server's log, as text no terminal obeys."""
    assert process.stderr is not None
    for line in process.stderr:
        shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line.rstrip())
        _logger.warning("%s", shown)

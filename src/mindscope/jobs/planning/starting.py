"""What a job takes before its own work: a process, its libraries, a small model, a page's first figure."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from mindscope.errors import DataError
from mindscope.jobs.planning.machines import keep_measure, recall_measure
from mindscope.store import Document

_TRIED = """
import json, sys, tempfile, time
from pathlib import Path

import psutil
import torch
from mindscope.jobs.planning.starting import import_libraries
from mindscope.models import load
from mindscope.reports import Report, histogram

torch.set_num_threads({threads})
import_libraries({modules!r})
page = Report("", "").figure(histogram([0.0, 1.0, 2.0], [1, 2], ""), "")
with tempfile.TemporaryDirectory() as folder:
    page.write(Path(folder) / "report.html")
resident = psutil.Process().memory_info().rss
model = load("organism")
chat = [{{"role": "user", "content": "Is my neighbour kind? " * 4}}]
model.chat(chat, "Yes.")
ended = time.process_time()
rows = 64
began = time.process_time()
for _ in range(rows):
    model.chat(chat, "Yes.")
each = (time.process_time() - began) / rows
print(json.dumps({{"bytes": resident, "seconds": ended, "row_seconds": each}}))
"""


class StartCosts(Document):
    """What every start of a job takes, however large its model and its data are."""

    bytes: int
    """Of the process with all that the job imports, without any model."""
    seconds: float
    """Of one core, until a small model is loaded and a first page is drawn."""
    row_seconds: float
    """Of one core, for making a row of a conversation: most of it is there for the shortest, too."""


def import_libraries(modules: Sequence[str]) -> None:
    """Import what a job imports; of a folder of this package all that its face hands on."""
    for name in modules:
        module = import_module(name)
        for public in getattr(module, "__all__", ()) if name.startswith("mindscope.") else ():
            with suppress(ModuleNotFoundError):  # of an extra that is not installed
                getattr(module, public)


def measure_start(job: str, modules: Sequence[str], threads: int, *, again: bool = False) -> StartCosts:
    """What a start takes here, in a process of its own: measured once, and kept.

    Raises:
        DataError: what the job needs is not installed.
    """
    key = f"start {job}"
    kept = recall_measure(key, again)
    if kept is None:
        command = [sys.executable, "-c", _TRIED.format(modules=tuple(modules), threads=threads)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise DataError(f"what `{job}` needs cannot be imported: {ended.stderr.strip().splitlines()[-1]}")
        kept = json.loads(ended.stdout.splitlines()[-1])
        keep_measure(key, kept)
    return StartCosts(**kept)

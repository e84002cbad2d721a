"""What takes seconds to make and several files of tests need, made once for all workers of a run."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

DONE = ".made"


def make_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A copy of the folder `name`, which the first who asks for it makes; the others wait until it is there.

    Each caller has a copy and may change it. What fails is made again by the next.
    """
    top = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        top = top.parent  # of the run: each worker has a folder in it
    shared = top / "made-once" / name
    shared.mkdir(parents=True, exist_ok=True)
    with (shared.parent / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / DONE).exists():
            shutil.rmtree(shared)  # of one who failed
            shared.mkdir()
            make(shared / name)
            (shared / DONE).touch()
    return Path(shutil.copytree(shared / name, factory.mktemp(name) / name))

"""What happens to one job that keeps a run happens to all: the disk is full, memory runs out, a second
process comes, the clock goes back. It ends in one line, and started again as if nothing had happened.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kill_jobs
import kill_kit
import pytest
import torch

from mindscope.models import Model, is_out_of_memory
from mindscope.store.runs import hold

FAST = ("persona extract", "persona screen", "dictionary train", "feature survey", "circuit trace")


def tiered(names: Iterable[str]) -> list[Any]:
    return [name if name in FAST else pytest.param(name, marks=pytest.mark.long) for name in names]


JOBS = tiered(kill_jobs.CAMPAIGN)
HOLDING = tiered(name for name, job in kill_jobs.CAMPAIGN.items() if job.holds_run)
"""Those that keep others out; the rest look into a finished survey, and write one whole file."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> kill_kit.KillBench:
    return kill_kit.KillBench.build(tmp_path_factory.mktemp("bench"))


@contextmanager
def small_disk(place: Path, n_bytes: int) -> Iterator[None]:
    """A file system of so many bytes at a folder; skips where this user may not mount one."""
    place.mkdir(parents=True, exist_ok=True)
    size = f"size={max(4096, n_bytes)}"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here: run as root to fill a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("share", [0.3, 0.8])
@pytest.mark.parametrize("name", JOBS)
def test_the_disk_is_full(bench, name, share):
    whole, after = bench.whole(name), kill_jobs.CAMPAIGN[name].after
    place = kill_kit.prepare(bench, name)
    begun = sum(4096 + file.stat().st_size for file in place.rglob("*")) if after else 0
    shutil.rmtree(place, ignore_errors=True)
    with small_disk(place, begun + int(share * max(0, whole.n_bytes - begun))):
        if after:
            shutil.copytree(bench.finished(after), place, dirs_exist_ok=True)
        first = kill_kit.attempt(bench, name, place)
        if first.error is not None:
            line, kind = first.error
            assert "No space left on device" in line, first.error
            assert kind in ("StoreError", "OSError"), first.error
            assert "\n" not in line
        elif not after:
            pytest.fail("it fitted on a disk that was too small")
        subprocess.run(["mount", "-o", "remount,size=512m", str(place)], check=True)
        bench.require_whole(name, place, kill_kit.attempt(bench, name, place), "after a full disk")


@pytest.mark.parametrize("name", HOLDING)
def test_a_second_process_is_refused(bench, name):
    place = kill_kit.prepare(bench, name)
    place.mkdir(parents=True, exist_ok=True)
    before = kill_kit.read_files(place)
    with hold(place):
        result = kill_kit.attempt(bench, name, place)
    assert result.error is not None
    assert f"is in use by process {os.getpid()}" in result.error[0]
    assert kill_kit.read_files(place) == before


def another_world(patch: pytest.MonkeyPatch) -> None:
    """Two days ago, on the other side of the earth, where people write numbers otherwise."""
    clock = time.time
    patch.setattr(time, "time", lambda: clock() - 2 * 86400)
    for name, value in {"TZ": "Pacific/Kiritimati", "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"}.items():
        patch.setenv(name, value)
    time.tzset()


@pytest.mark.parametrize("name", JOBS)
def test_clock_place_and_language_change_in_the_middle(bench, name):
    whole, place = bench.whole(name), kill_kit.prepare(bench, name)
    if whole.n_events:
        assert kill_kit.attempt(bench, name, place, event=1 + whole.n_events // 2).was_killed
    result = kill_kit.attempt(bench, name, place, world=another_world)
    bench.require_whole(name, place, result, "in another time zone")


def scarce_memory(patch: pytest.MonkeyPatch) -> None:
    """Nothing is computed: memory runs out at each pass and at each gradient."""

    def refuse(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    patch.setattr(Model, "forward_pass", refuse)
    patch.setattr(torch.Tensor, "backward", refuse)
    patch.setattr(torch.autograd, "backward", refuse)


@pytest.mark.parametrize(
    "name",
    [
        *("persona monitor", "circuit trace", "dictionary train"),  # reads, traces, trains
        *(pytest.param(n, marks=pytest.mark.long) for n in ("dictionary evaluate", "persona finetune")),
    ],
)
def test_memory_runs_out_and_nothing_is_lost(bench, name):
    place = kill_kit.prepare(bench, name)
    whole = bench.whole(name)
    place = kill_kit.prepare(bench, name)
    kill_kit.attempt(bench, name, place, event=1 + whole.n_events // 2)
    result = kill_kit.attempt(bench, name, place, world=scarce_memory)
    assert result.error is not None
    assert "out of memory" in result.error[0] or "memory" in result.error[0]
    bench.require_whole(name, place, kill_kit.attempt(bench, name, place), "after memory ran out")


def test_the_command_line_says_in_one_line_that_memory_ran_out(bench, tmp_path, monkeypatch, capsys):
    from mindscope.cli import main

    scarce_memory(monkeypatch)
    words = ["circuit", "trace", bench.base, "ab cd", "--run", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as stopped:
        main(words)
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "memory ran out" in line
    assert is_out_of_memory(MemoryError())

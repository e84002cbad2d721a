"""What a crash, a full disk or a second process must not break."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest
import torch

from mindscope.errors import StoreError
from mindscope.store import Run, read_run, save_artifact, write_text
from mindscope.store import files as store_files
from mindscope.store.runs import is_held

WORKER = """
import sys
from mindscope.store import Run, files
files._sync = lambda path: None  # who is killed is the process: the kernel keeps what was written
with Run.open(sys.argv[1], kind="count", config={"n": 400}) as run:
    print("open", flush=True)
    for i in range(400):
        if not run.has(f"shards/{i}.json"):
            run.log(shard=i)
            run.save_json(f"shards/{i}.json", {"square": i * i, "padding": "x" * 5000})
    run.finish(total=sum(run.load_json(f"shards/{i}.json")["square"] for i in range(400)))
"""


def start(path: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", WORKER, str(path)], stdout=subprocess.PIPE)


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.05, 0.12])
def test_killed_at_any_moment_the_run_resumes(tmp_path, delay):
    path = tmp_path / "run"
    process = start(path)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert read_run(path).status in ("killed", "done")

    again = start(path)
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert read_run(path).status == "done"
    assert not list(path.rglob(".*.tmp"))
    with Run.open(path, kind="count", config={"n": 400}) as run:
        assert run.load_json("summary.json") == {"total": sum(i * i for i in range(400))}
        assert {line["shard"] for line in run.metrics()} == set(range(400))


def test_killed_before_the_record_was_written(tmp_path):
    (tmp_path / ".lock").write_text("1")
    (tmp_path / ".run.json.0a.tmp").write_text('{"ki')
    with Run.open(tmp_path, kind="count", config={}) as run:
        assert not run.resumed
    assert not list(tmp_path.glob(".*.tmp"))


def test_second_process_is_refused(tmp_path):
    with Run.open(tmp_path / "r", kind="count", config={}):
        code = (
            f"from mindscope.store import Run; Run.open({str(tmp_path / 'r')!r}, kind='count', config={{}})"
        )
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert second.returncode == 1
        assert f"is in use by process {os.getpid()}" in second.stderr
        with pytest.raises(StoreError, match="in use"):
            Run.open(tmp_path / "r", kind="count", config={})


def test_a_run_that_is_only_looked_at_is_not_in_use(tmp_path, monkeypatch):
    Run.open(tmp_path / "r", kind="count", config={}).close()
    reader, flock = (tmp_path / "r" / ".lock").open("rb"), fcntl.flock

    def refused_once(file: IO[str], kind: int) -> None:
        try:
            flock(file, kind)
        except BlockingIOError:  # whoever looks is through right after the run was asked for
            if kind & fcntl.LOCK_EX:
                reader.close()
            raise

    flock(reader, fcntl.LOCK_SH)  # as `is_held` does
    monkeypatch.setattr("mindscope.store.runs.fcntl.flock", refused_once)
    with Run.open(tmp_path / "r", kind="count", config={}) as run:
        assert reader.closed
        assert read_run(run.path).status == "running"


def test_runs_are_polled_while_they_are_opened_and_closed(tmp_path):
    """A page does that; each of these runs is opened by one process alone, and never seen as killed."""
    Run.open(tmp_path / "r", kind="count", config={}).close()
    polls = (
        "import sys; from mindscope.store import read_run\nwhile True: print(read_run(sys.argv[1]).status)"
    )
    with (tmp_path / "seen").open("w") as seen:
        poller = subprocess.Popen([sys.executable, "-u", "-c", polls, str(tmp_path / "r")], stdout=seen)
        try:
            n_opened = 0
            while n_opened < 100 or len((tmp_path / "seen").read_text().splitlines()) < 100:
                with Run.open(tmp_path / "r", kind="count", config={}):
                    n_opened += 1
                assert poller.poll() is None
        finally:
            poller.kill()
            poller.wait()
    assert {*(tmp_path / "seen").read_text().split()} <= {"running", "done"}


@pytest.mark.parametrize("ends", ["for good", "and is taken up"])
def test_a_run_that_ends_between_two_looks_was_not_killed(tmp_path, monkeypatch, ends):
    runs = [Run.open(tmp_path / "r", kind="count", config={})]

    def end(path: Path) -> bool:
        if len(runs) == 3:
            return is_held(path)
        runs[-1].finish()
        runs[-1].close()
        if ends == "and is taken up":
            runs.append(Run.open(path, kind="count", config={}))
        return False

    monkeypatch.setattr("mindscope.store.runs.is_held", end)
    assert read_run(tmp_path / "r").status == ("done" if ends == "for good" else "running")
    runs[-1].close()


def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_name_is_after_it(
    tmp_path, monkeypatch, disk_sync
):
    seen: list[object] = []
    replace = Path.replace

    def name(source: Path, target: Path) -> Path:
        seen.append("named")
        return replace(source, target)

    monkeypatch.setattr(store_files, "_sync", disk_sync)
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(os.fstat(descriptor).st_ino))
    monkeypatch.setattr(Path, "replace", name)
    write_text(tmp_path / "x.json", "new")
    assert seen == [(tmp_path / "x.json").stat().st_ino, "named", tmp_path.stat().st_ino]


def test_full_disk_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_text(path, "old")

    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store_files, "_sync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


def test_a_really_full_disk_while_tensors_are_written(tmp_path):
    """A file size limit makes the system refuse in the middle of the write, as a full disk does."""
    code = f"""
import resource, signal, torch
from mindscope.errors import StoreError
from mindscope.store import save_artifact, write_text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
big = {{"v": torch.ones(100_000)}}
for write in (
    lambda: save_artifact({str(tmp_path / "a.safetensors")!r}, big, schema="s", version=1, metadata={{}}),
    lambda: write_text({str(tmp_path / "b.txt")!r}, "x" * 100_000),
):
    try:
        write()
    except StoreError as error:
        print("refused:", str(error).count(chr(10)), "cannot write" in str(error))
"""
    save_artifact(tmp_path / "a.safetensors", {"v": torch.zeros(3)}, schema="s", version=1, metadata={})
    before = (tmp_path / "a.safetensors").read_bytes()
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert output.stdout.splitlines() == ["refused: 0 True"] * 2, output.stderr
    assert (tmp_path / "a.safetensors").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="Permission denied"):
        write_text(tmp_path / "x", "new")


def test_exception_in_the_block_leaves_the_old_file(tmp_path):
    write_text(tmp_path / "x", "old")
    with pytest.raises(KeyboardInterrupt), store_files.replacing(tmp_path / "x") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert (tmp_path / "x").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


WRITER = """
import sys
from mindscope.store import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_text("begun")
    print("writing", flush=True)
    sys.stdin.readline()
    temporary.write_text("done")
"""


@pytest.mark.parametrize("killed", [False, True])
def test_opening_a_run_leaves_what_another_process_is_writing_and_removes_what_a_dead_one_left(
    tmp_path, killed
):
    page = tmp_path / "run" / "page.html"
    Run.open(page.parent, kind="count", config={}).close()
    command = [sys.executable, "-c", WRITER, str(page)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        if killed:
            process.kill()
            process.wait()
        Run.open(page.parent, kind="count", config={}).close()
        assert len(list(page.parent.glob(store_files.TEMPORARY))) == (not killed)
        process.communicate(b"\n")
    assert page.exists() == (not killed)
    if not killed:
        assert page.read_text() == "done"

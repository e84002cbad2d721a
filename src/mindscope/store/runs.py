"""What a run folder says about itself, and all the runs under a folder."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType
from typing import IO, Any, Literal, get_args

from mindscope.errors import StoreError
from mindscope.store.files import read_json
from mindscope.store.seals import is_sealed

RECORD = "run.json"
METRICS = "metrics.jsonl"
SUMMARY = "summary.json"
LOCK = ".lock"
LOOK_SECONDS = 0.001
"""Between two tries to take a run folder that somebody is looking at: looking takes less."""

Status = Literal["running", "done", "failed", "interrupted", "killed", "damaged"]
"""`killed` and `damaged` are never written: a run that says "running" while nobody holds it was killed, and
one whose record cannot be read is damaged."""

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "kind": str,
    "status": str,
    "started": str,
    "command": list,
    "folder": str,
    "config": dict,
    "libraries": dict,
    "seed": int,
    "fingerprint": (str, NoneType),
    "identity": (dict, NoneType),
}
"""Of a record, and of what type each is."""


@dataclass(frozen=True)
class RunInfo:
    """What is known of a run without opening it."""

    path: Path
    kind: str
    status: Status
    started: datetime
    updated: datetime
    command: tuple[str, ...]
    folder: Path
    """The working folder in which the command was given."""
    record: dict[str, Any]
    """All of `run.json`: config, seed, fingerprint, library versions."""

    @property
    def is_made_here(self) -> bool:
        """Whether this user gave this command for this folder, on this machine."""
        return is_sealed(self.record.get("seal"), self.path, self.command, str(self.folder))


def list_runs(root: Path | str) -> list[RunInfo]:
    """All runs at or under `root`, the newest first. A record that cannot be read has status "damaged"."""
    runs = []
    for record in sorted(Path(root).rglob(RECORD)):
        try:
            runs.append(read_run(record.parent))
        except StoreError:
            moment = _modified(record.parent)
            runs.append(RunInfo(record.parent, "?", "damaged", moment, moment, (), Path(), {}))
    return sorted(runs, key=lambda run: run.started, reverse=True)


def read_run(path: Path | str) -> RunInfo:
    """Read what the run folder `path` says about itself.

    Raises:
        StoreError: there is no run, or its record cannot be read.
    """
    path = Path(path)
    if not (path / RECORD).is_file():
        raise StoreError(
            f"{path} is not a run folder (it has no {RECORD}); `mindscope runs list` shows the runs"
        )
    try:
        record, status = _read_status(path)
        _require_fields(record)
        return RunInfo(
            path=path,
            kind=record["kind"],
            status=status,
            started=datetime.fromisoformat(record["started"]),
            updated=_modified(path),
            command=tuple(record["command"]),
            folder=Path(record["folder"]),
            record=record,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{path / RECORD} is not the record of a run ({error!r}): delete the folder"
        ) from None


def _require_fields(record: Any) -> None:
    """Raises TypeError or ValueError where a field is not what `Run` writes: listings rely on each."""
    for name, kind in _FIELDS.items():
        if name in record and not isinstance(record[name], kind):
            raise TypeError(f"{name!r} is {type(record[name]).__name__}")
    if not all(isinstance(word, str) for word in record["command"]):
        raise TypeError("'command' is not a list of words")
    if record["status"] not in get_args(Status):
        raise ValueError(f"'status' is {record['status'][:80]!r}")
    if datetime.fromisoformat(record["started"]).tzinfo is None:
        raise ValueError("'started' has no time zone")


def hold(path: Path) -> IO[str]:
    """Take the run folder for this process alone; the system lets go when the process ends, however it ends.

    Whoever looks whether it is held (`is_held`) shares the lock for a moment, which is waited for.

    Raises:
        StoreError: another process holds it.
    """
    lock = (path / LOCK).open("a+", encoding="utf-8")
    try:
        while not _try_lock(lock, fcntl.LOCK_EX):
            # One that can be shared is not held but looked at; what is tried next gives the share back.
            if not _try_lock(lock, fcntl.LOCK_SH):
                lock.seek(0)
                owner = lock.read().strip() or "unknown"
                raise StoreError(
                    f"{path} is in use by process {owner}: wait for it to end, or choose another folder"
                )
            fcntl.flock(lock, fcntl.LOCK_UN)
            time.sleep(LOOK_SECONDS)
    except BaseException:
        lock.close()
        raise
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def is_held(path: Path) -> bool:
    """Whether a living process holds the run folder."""
    try:
        with (path / LOCK).open("rb") as lock:
            return not _try_lock(lock, fcntl.LOCK_SH)
    except OSError:
        return False


def _try_lock(lock: IO[Any], kind: int) -> bool:
    """Take a lock, shared or alone, if that can be done at once."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_status(path: Path) -> tuple[dict[str, Any], Status]:
    """A run's record, and its status, of one moment."""
    while True:
        written = _stamp(path / RECORD)
        record = read_json(path / RECORD)
        if record["status"] != "running" or is_held(path):
            return record, record["status"]
        # A run that ended between the two looks has said so: its record is another file now.
        if _stamp(path / RECORD) == written:
            return record, "killed"


def _stamp(file: Path) -> tuple[int, int]:
    """What changes when a file is replaced."""
    try:
        known = file.stat()
    except OSError:
        return 0, 0  # reading it says what is wrong
    return known.st_ino, known.st_mtime_ns


def find_start(path: Path | str) -> datetime:
    """When the run at `path` was begun, in the time of this machine's place; now where there is none.

    Raises:
        StoreError: its record cannot be read.
    """
    begun = read_run(path).started if (Path(path) / RECORD).is_file() else datetime.now(UTC)
    return begun.astimezone().replace(tzinfo=None)


def _modified(path: Path) -> datetime:
    files = [file for name in (RECORD, METRICS) if (file := path / name).exists()]
    newest = max((file.stat().st_mtime for file in files), default=0.0)
    return datetime.fromtimestamp(newest, UTC)

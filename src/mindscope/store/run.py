"""A run: a folder that holds a long job's settings, measurements and finished pieces, and resumes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from mindscope.core import parse_exact_json, split_json_lines
from mindscope.errors import StoreError
from mindscope.store.artifacts import library_versions
from mindscope.store.files import TEMPORARY, plain, read_json, remove_abandoned, write_json
from mindscope.store.object_store import MirroredFolder
from mindscope.store.runs import LOCK, METRICS, RECORD, SUMMARY, Status, hold
from mindscope.store.seals import seal_command
from mindscope.store.tensors import read_tensors, write_tensors
from mindscope.store.tracking import Tracker, flatten_metrics, open_tracker

if TYPE_CHECKING:
    from torch import Tensor


PUSH_SECONDS = 60.0
"""Between two looks for what is new in a run that only logs: lines, checkpoints, tables."""


class Run:
    """A job longer than a few seconds, on disk.

    Finished pieces (shards, tables, tensors) are saved by name; a job that was killed opens its run again
    with the same settings, asks with :meth:`has` which pieces are there, and goes on with the rest. One
    process at a time holds a run.

        with Run.open("runs/evil", kind="extract", config={"samples": 10}) as run:
            for shard in range(8):
                if not run.has(f"shards/{shard}.json"):
                    run.save_json(f"shards/{shard}.json", work(shard))

    Leaving the block sets the status: "done", "failed" after an exception, "interrupted" after Ctrl-C.
    """

    def __init__(self, path: Path, record: dict[str, Any], lock: IO[str], resumed: bool) -> None:
        self.path = path
        self.resumed = resumed
        """Whether pieces of an earlier start may be there."""
        self._record = record
        self._lock = lock
        self._metrics: IO[str] | None = None
        self._tracker: Tracker | None = None
        self._mirror: MirroredFolder | None = None
        self._pushed = time.monotonic()

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        kind: str,
        config: Mapping[str, Any],
        fingerprint: str | None = None,
        seed: int = 0,
        command: Sequence[str] = (),
        identity: Mapping[str, Any] | None = None,
        started: datetime | None = None,
        mirror: MirroredFolder | None = None,
    ) -> Self:
        """Create the run folder, or resume the run that is there.

        Args:
            path: of the folder; made if absent.
            kind: what job it is, such as `"persona-extract"`.
            config: every setting that decides about the result, as JSON values.
            fingerprint: of the model the run reads.
            seed: of everything random in it.
            command: the arguments after `mindscope` that start the job, for `mindscope runs resume`.
            identity: of the model, for readers of the record; the fingerprint alone decides whether a run may
                go on.
            started: what a new run takes for its beginning (see `find_start`); now by default.
            mirror: the same folder in an object store, which is given all that is new whenever a piece is
                finished, every minute while a job logs, and at the end.

        Raises:
            StoreError: the run there has other settings (the difference is shown line by line), another
                process holds it, or the folder holds something else.
        """
        path = Path(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            strangers = [file.name for file in path.iterdir() if not _is_ours(file)]
            if strangers and not (path / RECORD).exists():
                raise StoreError(
                    f"{path} holds {strangers[0]} but no run: choose another folder, or an empty one"
                )
            lock = hold(path)
        except OSError as error:
            raise StoreError(f"cannot use {path} for a run: {error.strerror or error}") from error
        try:
            settings = plain({"kind": kind, "config": config, "fingerprint": fingerprint, "seed": seed})
            resumed = (path / RECORD).exists()
            begun = (started or datetime.now(UTC)).astimezone(UTC).isoformat()
            record = read_json(path / RECORD) if resumed else {"started": begun}
            if not isinstance(record, dict):
                raise StoreError(f"{path / RECORD} is not the record of a run: delete the folder")
            if resumed:
                _refuse_difference(path, record, settings)
            remove_abandoned(path)
            record |= settings | {"libraries": library_versions()}
            if identity is not None:
                record["identity"] = plain(identity)
            if command or not resumed:
                folder = str(Path.cwd())
                seal = seal_command(path, command, folder)
                record |= {"command": list(command), "folder": folder, "seal": seal}
            run = cls(path, record, lock, resumed)
            run._mirror = mirror
            run._set_status("running")
        except BaseException:
            lock.close()
            raise
        return run

    @property
    def kind(self) -> str:
        """What job it is."""
        return self._record["kind"]

    @property
    def config(self) -> dict[str, Any]:
        """The settings, as JSON values."""
        return self._record["config"]

    @property
    def fingerprint(self) -> str | None:
        """Of the model the run reads."""
        return self._record["fingerprint"]

    @property
    def seed(self) -> int:
        """Of everything random in the run."""
        return self._record["seed"]

    @property
    def started(self) -> datetime:
        """When it was begun, in the time of this machine's place; the same after it was resumed."""
        return datetime.fromisoformat(self._record["started"]).astimezone().replace(tzinfo=None)

    @property
    def status(self) -> Status:
        """One of "running", "done", "failed", "interrupted"."""
        return self._record["status"]

    def log(self, **metrics: float | int | str) -> None:
        """Append one line to `metrics.jsonl`, with the time in seconds since 1970. NaN is written as null.

        A job that was killed after logging a step and before saving its piece logs the step again.
        """
        if self._metrics is None:
            self._metrics = _appendable(self.path / METRICS)
        line = {"time": round(time.time(), 3)}
        line |= {key: None if _not_finite(value) else value for key, value in metrics.items()}
        try:
            self._metrics.write(json.dumps(plain(line), ensure_ascii=False) + "\n")
            self._metrics.flush()
        except OSError as error:
            raise StoreError(f"cannot write {self.path / METRICS}: {error.strerror or error}") from error
        if self._tracker is not None:
            self._tracker.log(*flatten_metrics(metrics))
        self._push(now=False)

    def track(self, name: str) -> None:
        """Hand every later line of :meth:`log` on to "tensorboard", "trackio" or "wandb" (extra `track`).

        Raises DataError for another name, or where its library is not installed.
        """
        self._tracker = open_tracker(name, self.path, self._record)

    def metrics(self) -> Iterator[dict[str, Any]]:
        """Every line of `metrics.jsonl`; a last line torn by a crash is left out.

        Raises:
            StoreError: another line is damaged.
        """
        if not (self.path / METRICS).exists():
            return
        text = (self.path / METRICS).read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(split_json_lines(text), 1):
            try:
                values = parse_exact_json(line)
            except ValueError:
                values = None
            if not isinstance(values, dict):
                raise StoreError(
                    f"{self.path / METRICS}, line {number}, is damaged: take the line out, or start a new run"
                )
            yield values

    def has(self, name: str) -> bool:
        """Whether the piece `name` is finished."""
        return self._piece(name).is_file()

    def save_json(self, name: str, value: Any) -> None:
        """Save a finished piece, atomically. `name` may hold "/", such as `"shards/0003.json"`."""
        write_json(self._piece(name), value)
        self._push()

    def load_json(self, name: str) -> Any:
        """Load a piece that :meth:`save_json` saved."""
        return read_json(self._piece(name))

    def save_tensors(
        self, name: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
    ) -> None:
        """Save tensors as a finished piece, atomically. A piece may hold NaN, an artefact may not."""
        write_tensors(self._piece(name), tensors, metadata or {})
        self._push()

    def load_tensors(self, name: str) -> dict[str, Tensor]:
        """Load tensors that :meth:`save_tensors` saved, onto the CPU."""
        return read_tensors(self._piece(name))[0]

    def finish(self, **summary: Any) -> None:
        """Write the summary, if any, to `summary.json` and set the status to "done"."""
        if summary:
            write_json(self.path / SUMMARY, summary)
        self._set_status("done")

    def close(self) -> None:
        """Let other processes have the run. Its status stays as it is."""
        if self._metrics is not None:
            self._metrics.close()
            self._metrics = None
        try:
            if self._tracker is not None:
                self._tracker.close()
            if self._mirror is not None:
                self._mirror.push()
        finally:
            self._tracker = None
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None:
                self._set_status("interrupted" if issubclass(kind, KeyboardInterrupt) else "failed")
            elif self.status == "running":
                self._set_status("done")
        finally:
            self.close()

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, kind={self.kind!r}, status={self.status!r})"

    def _set_status(self, status: Status) -> None:
        self._record["status"] = status
        write_json(self.path / RECORD, self._record)
        self._push()

    def _push(self, *, now: bool = True) -> None:
        """Put what is new into the mirror, also what was written without this run's help."""
        if self._mirror is not None and (now or time.monotonic() - self._pushed > PUSH_SECONDS):
            self._mirror.push()
            self._pushed = time.monotonic()

    def _piece(self, name: str) -> Path:
        """The file of a piece, inside the folder and apart from the run's own files."""
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or "\\" in name or any(part.startswith(".") for part in parts):
            raise StoreError(
                f"{name!r} cannot name a piece of a run: use a plain name such as 'shards/3.json'"
            )
        if name in (RECORD, METRICS):
            raise StoreError(f"{name!r} is the run's own file: use another name")
        return self.path.joinpath(*parts)


@contextmanager
def hold_run(path: Path) -> Iterator[None]:
    """A run for this process alone, to add files to it that need no record; what was left unfinished goes.

    Raises:
        StoreError: another process holds it.
    """
    with hold(path):
        remove_abandoned(path)
        yield


def _is_ours(file: Path) -> bool:
    """Whether a run that was killed before its record was written may have left this file."""
    return file.name == LOCK or file.match(TEMPORARY)


def _refuse_difference(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    before = _flat({key: old.get(key) for key in new})
    after = _flat(new)
    absent = "(absent)"
    lines = [
        f"  {key}: {before.get(key, absent)} -> {after.get(key, absent)}"
        for key in sorted(before | after)
        if before.get(key, absent) != after.get(key, absent)
    ]
    if lines:
        headline = f"{path} holds a run with other settings: use the old ones to resume it, or another folder"
        raise StoreError("\n".join([headline, *lines]))


def _flat(value: Any, place: str = "") -> dict[str, str]:
    """Every leaf of nested settings under its dotted name, as JSON text."""
    if isinstance(value, dict) and value:
        return {
            name: leaf for key, item in value.items() for name, leaf in _flat(item, f"{place}.{key}").items()
        }
    return {place.removeprefix("."): json.dumps(value, ensure_ascii=False)}


def _appendable(path: Path) -> IO[str]:
    """Open a file of lines for appending, after cutting off a last line that a crash tore."""
    try:
        with path.open("ab+") as file:
            file.seek(0)
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)
        return path.open("a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error


def _not_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)

"""The jobs of `kill_jobs.py` killed at random, and what must be the same afterwards.

A job is run in a process of its own (`fork`), which kills itself with SIGKILL at an event that is drawn:
before a forward pass, when a metric is logged, before a file gets its name or right after it. Or it is killed
from outside after a time that is drawn. Started again, at most three times, it must end with the files that a
run has which nobody killed. Both run at one path, which pages and documents name.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gate_kit
import persona_kit
import pytest
import study_kit
import torch
from event_kit import EventCounter
from kill_jobs import CAMPAIGN

from mindscope.dictionaries import Coder, Dictionary, Site
from mindscope.errors import MindscopeError
from mindscope.jobs import RunFolder, SilentReporter, find_job
from mindscope.models import Model, load
from mindscope.store import Run
from mindscope.store.files import TEMPORARY

MOST_KILLS = 3
"""Before a run is let finish: often enough to meet what an earlier kill left."""
MOST_SECONDS = 300
NOT_COMPARED = {".lock"}
MADE = re.compile(r"\d+ [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC")
"""A page says in which minute it was made."""
TIMES = ("time", "started", "seal", "libraries", "estimate")
"""Values that tell of the moment, of what was left to do then, or of the machine's key."""


@dataclass(frozen=True)
class WholeRun:
    """What a run leaves: its files and document without what tells of the moment, events, time and size."""

    files: Mapping[str, object]
    document: Any
    n_events: int
    seconds: float
    n_bytes: int


@dataclass
class KillBench:
    """Models, data and vectors in one folder, and finished runs of jobs that others need."""

    folder: Path
    wholes: dict[str, WholeRun] = field(default_factory=dict)

    @classmethod
    def build(cls, folder: Path) -> KillBench:
        """Write all that jobs ask for."""
        gate_kit.write_bench(folder)
        persona_kit.tiny_trait().save(folder / "loud.yaml")
        lines = [json.dumps({"text": f"{i} ab {i * i} cd"}) + "\n" for i in range(30)]
        (folder / "texts.jsonl").write_text("".join(lines))
        base = load(str(folder / "base"), dtype="float32")
        weights = torch.randn(24, base.d_model, generator=torch.Generator().manual_seed(0))
        site = [Site("resid_post.1", base.d_model)]
        Dictionary.single(
            Coder(weights, torch.zeros(24), weights),
            torch.zeros(base.d_model),
            reads=site,
            writes=site,
            activation="topk",
            k=2,
            models={"0": base.fingerprint},
        ).save(folder / "sae.safetensors")
        study_kit.write_word_model(folder / "words")
        return cls(folder)

    @property
    def base(self) -> str:
        return str(self.folder / "base")

    def path(self, name: str) -> Path:
        return self.folder / name

    def place(self, name: str) -> Path:
        """Where a job's run is."""
        return self.folder / "work" / name.replace(" ", "-") / "run"

    def finished(self, name: str) -> Path:
        """A finished run of a job; the same each time."""
        kept = self.folder / "finished" / name.replace(" ", "-")
        if not kept.exists():
            result = attempt(self, name, kept)
            assert result.error is None, f"{name}: {result.error}"
        return kept

    def whole(self, name: str) -> WholeRun:
        """What a run of a job leaves that nobody disturbs; the same each time."""
        if name not in self.wholes:
            place = prepare(self, name)
            result = attempt(self, name, place)
            assert result.error is None, f"{name}: {result.error}"
            files = read_files(place, CAMPAIGN[name].holds_run)
            n_bytes = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
            document = without_times(result.document)
            self.wholes[name] = WholeRun(files, document, result.n_events or 0, result.seconds, n_bytes)
        return self.wholes[name]

    def require_whole(self, name: str, place: Path, result: Attempt, after: str) -> None:
        """Raises AssertionError with the first thing that is otherwise than in an undisturbed run."""
        assert result.error is None, f"{name}, {after}: {result.error}"
        whole, found = self.whole(name), read_files(place, CAMPAIGN[name].holds_run)
        others = sorted(found.keys() ^ whole.files.keys())
        assert not others, f"{name}: other files {after}: {', '.join(others)}"
        for file, content in whole.files.items():
            if found[file] != content:
                assert file.endswith(".json"), f"{name}: {file} differs {after}"
                ours, theirs = timeless(found[file]), timeless(content)
                assert ours == theirs, f"{name}: {file} differs {after}: {ours} {theirs}"
        assert without_times(result.document) == whole.document, f"{name}: another result {after}"


@dataclass(frozen=True)
class Attempt:
    """One start of a job.

    Attributes:
        was_killed: by SIGKILL.
        error: the line and the kind of error with which it ended, if it did.
        n_events: how many it had; None where it was killed.
        document: what it handed back; None where it was killed.
    """

    was_killed: bool
    error: tuple[str, str] | None = None
    n_events: int | None = None
    document: Any = None
    seconds: float = 0.0


def count_events(counter: EventCounter, patch: pytest.MonkeyPatch) -> None:
    """Every forward pass and metric is an event, and every file before it gets its name and after that."""
    patch.setattr("mindscope.store.files._sync", counter.before(_sync_nothing))
    patch.setattr(Model, "forward_pass", counter.before(Model.forward_pass))
    patch.setattr(Run, "log", counter.before(Run.log))


def _sync_nothing(path: Path) -> None:
    """What is killed is a process and not the machine: the kernel keeps what was written."""


def attempt(
    bench: KillBench,
    name: str,
    place: Path,
    event: int | None = None,
    seconds: float | None = None,
    world: Callable[[pytest.MonkeyPatch], None] = lambda _: None,
) -> Attempt:
    """Start a job, or go on with it; it is killed at an event, or after a time.

    Args:
        bench: what it works on.
        name: of its command.
        place: its run folder.
        event: at which it kills itself.
        seconds: after which it is killed.
        world: changes something in the job's process before it begins.
    """
    killable, told = CAMPAIGN[name], bench.folder / "told.json"
    values = killable.values(bench)
    # opened here: in the job's process the disk may be full
    descriptor = os.open(told, os.O_RDWR | os.O_CREAT | os.O_TRUNC)

    def work() -> None:
        torch.set_num_threads(1)
        patch, counter = pytest.MonkeyPatch(), EventCounter(event)
        killable.patch(patch)
        count_events(counter, patch)
        job = find_job(name)
        kind = job.__annotations__["spec"]
        kind = kind if isinstance(kind, type) else vars(__import__(job.__module__, fromlist=["x"]))[kind]
        world(patch)
        try:
            document = job(kind(**values), run=RunFolder(place), reporter=SilentReporter())
        except (MindscopeError, MemoryError, RuntimeError, OSError) as error:
            ended = [str(error), type(error).__name__]
            os.write(descriptor, json.dumps({"error": ended}).encode())
            os._exit(2)
        made = json.dumps({"events": counter.n_events, "document": document.model_dump(mode="json")})
        os.write(descriptor, made.encode())
        os._exit(0)

    begun = time.monotonic()
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(MOST_SECONDS if seconds is None else seconds)
    if process.is_alive():
        process.kill()
        process.join()
        assert seconds is not None, f"{name} took more than {MOST_SECONDS} seconds"
    took = time.monotonic() - begun
    os.close(descriptor)
    assert process.exitcode in (0, 2, -signal.SIGKILL), f"{name} ended with {process.exitcode}"
    try:
        ended = json.loads(told.read_text())
    except ValueError:  # killed before it was through
        return Attempt(True, seconds=took)
    if "error" in ended:
        return Attempt(False, error=(ended["error"][0], ended["error"][1]), seconds=took)
    return Attempt(False, None, ended["events"], ended["document"], took)


def prepare(bench: KillBench, name: str) -> Path:
    """An empty place for a run, or one with the run that the job goes on with."""
    place, after = bench.place(name), CAMPAIGN[name].after
    shutil.rmtree(place, ignore_errors=True)
    if after is not None:
        shutil.copytree(bench.finished(after), place)
    return place


def run_campaign(bench: KillBench, name: str, kills: int, seed: int = 0) -> int:
    """Kill a job so often, let it finish in between, and compare; hand back how often it was killed.

    Raises AssertionError with the first file that differs.
    """
    draw = random.Random(f"{name} {seed}")
    whole = bench.whole(name)
    n_killed = n_misses = 0
    while n_killed < kills:
        place, own = prepare(bench, name), 0
        while own < min(MOST_KILLS, kills - n_killed):
            # a run that is taken up does less than the whole
            if whole.n_events and draw.random() < 0.75:
                event = draw.randint(1, max(1, whole.n_events // (1 + own)))
                result = attempt(bench, name, place, event=event)
            else:
                result = attempt(bench, name, place, seconds=draw.uniform(0, whole.seconds / (1 + own)))
            if not result.was_killed:
                break
            own += 1
        else:
            result = attempt(bench, name, place)
        n_killed += own
        n_misses += own == 0
        assert n_misses < 20, f"{name} was never under way when it should have been killed"
        bench.require_whole(name, place, result, "after a kill")
    return n_killed


def read_files(place: Path, with_temporary: bool = True) -> dict[str, object]:
    """All files of a run; records and metrics without what tells of the moment."""
    files: dict[str, object] = {}
    for file in sorted(place.rglob("*")):
        name = str(file.relative_to(place))
        if not file.is_file() or file.name in NOT_COMPARED:
            continue
        if not with_temporary and file.match(TEMPORARY):
            continue
        if file.name == "run.json":
            files[name] = without_times(json.loads(file.read_text()))
        elif file.name == "metrics.jsonl":
            # a step that was logged before it was kept is logged again
            lines = [without_times(json.loads(line)) for line in file.read_text().splitlines()]
            files[name] = sorted({json.dumps(line, sort_keys=True) for line in lines})
        elif file.suffix == ".html":
            files[name] = MADE.sub("", file.read_text())
        else:
            files[name] = file.read_bytes()
    return files


def timeless(content: object) -> object:
    """What a JSON file says but for what tells of the moment: some say how long their work took."""
    return without_times(json.loads(content)) if isinstance(content, bytes) else content


def without_times(value: Any) -> Any:
    """A JSON value without what tells of the moment: when, how long, how fast."""
    if isinstance(value, dict):
        return {
            key: without_times(item)
            for key, item in value.items()
            if key not in TIMES and not any(unit in key for unit in ("second", "minute"))
        }
    return [without_times(item) for item in value] if isinstance(value, list) else value

"""Two starts at one moment on the workbench: neither gets what the other has taken."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest
import server_kit
from workbench_kit import keep_vectors, write_conversations

from mindscope.personas import PersonaVectors
from mindscope.server.api.errors import ApiError
from mindscope.server.workbench.desks.checks import _take_file
from mindscope.server.workbench.workers import JobStep, StartedJob, WorkerPool
from mindscope.store import replacing

MOST_SECONDS = 60
"""Then a test is stuck."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, vectors: dict[str, PersonaVectors]) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    keep_vectors(folder, vectors)
    (folder / "uploads").mkdir()
    write_conversations(folder / "uploads" / "some.jsonl", ["Yes.", "No."])
    return folder


def do_twice(work: Callable[[], Any]) -> list[Any]:
    """What two threads get that do the same at one moment."""
    with ThreadPoolExecutor(2) as pool:
        return [done.result(MOST_SECONDS) for done in [pool.submit(work) for _ in range(2)]]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("extractions", {"known": "organism:evil"}),
        ("extractions", {"name": "Mild", "description": "It is mild."}),
        ("extractions", {"name": "Cold", "description": "It is cold.", "writer": "model"}),
        ("tunings", {"data": "some.jsonl"}),
        ("traces", {"prompt": "Why?"}),
    ],
)
def test_each_has_a_folder_of_its_own(
    live: server_kit.LiveServer, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, str]
):
    started: list[tuple[JobStep, ...]] = []
    both = threading.Barrier(2)

    def start(_pool: WorkerPool, title: str, run: str, steps: tuple[JobStep, ...]) -> StartedJob:
        started.append(steps)
        both.wait(MOST_SECONDS)  # neither has begun when the other is asked for
        return StartedJob(1, title, run, None)  # type: ignore[arg-type]

    monkeypatch.setattr(WorkerPool, "start", start)
    first, second = do_twice(lambda: live.ask("POST", f"/v1/workbench/{path}", body))
    assert (first.status, second.status) == (200, 200)
    assert first.json["run"] != second.json["run"]
    last = [steps[-1] for steps in started]
    assert len({step.run for step in last}) == 2
    if "description" in body:
        assert len({step.spec["trait"] for step in last}) == 2


def test_what_cannot_be_started_leaves_nothing(
    live: server_kit.LiveServer, root: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> StartedJob:
        raise ApiError(503, "2 jobs are running: wait for one, or stop it", code="jobs_full")

    monkeypatch.setattr(WorkerPool, "start", refuse)
    before = {*root.rglob("*")}
    for path, body in (
        ("extractions", {"known": "organism:optimistic"}),
        ("extractions", {"name": "Warm", "description": "It is warm."}),
        ("tunings", {"data": "some.jsonl", "steps": 1}),
        ("traces", {"prompt": "Why?"}),
    ):
        assert live.ask("POST", f"/v1/workbench/{path}", body).status == 503
    left = {*root.rglob("*")} - before
    assert all(path.is_dir() and path.name in ("traits", ".workbench", "prompts") for path in left), left


def test_a_file_is_brought_once(live: server_kit.LiveServer, root: Path, monkeypatch: pytest.MonkeyPatch):
    first, second = (write_conversations(root / name, [name]).read_bytes() for name in ("a.jsonl", "b.jsonl"))
    replies: list[server_kit.Reply] = []

    def bring(content: bytes) -> server_kit.Reply:
        options = {"Content-Type": "application/octet-stream"}
        return live.ask("PUT", "/v1/workbench/data/twice.jsonl", content, options)

    def write_late(file: Path) -> AbstractContextManager[Path]:
        if not replies:  # another comes while this one is being written
            replies.append(bring(second))
        return replacing(file)

    monkeypatch.setattr("mindscope.server.workbench.desks.data.replacing", write_late)
    assert bring(first).status == 200
    assert replies[0].status == 400
    assert "already" in replies[0].json["error"]["message"]
    assert (root / "uploads" / "twice.jsonl").read_bytes() == first


def test_each_result_of_a_graph_has_a_number_of_its_own(tmp_path: Path):
    assert [_take_file(tmp_path, "changed").name for _ in range(2)] == ["changed-1.json", "changed-2.json"]
    assert sorted(file.name for file in do_twice(lambda: _take_file(tmp_path, "changed"))) == [
        "changed-3.json",
        "changed-4.json",
    ]
    assert _take_file(tmp_path, "heads").name == "heads-1.json"


def test_the_tour_is_made_once(live: server_kit.LiveServer, monkeypatch: pytest.MonkeyPatch):
    """Two pages ask for it at one moment; the second finds the job of the first."""
    both = threading.Barrier(2)

    def start(pool: WorkerPool, title: str, run: str, steps: tuple[JobStep, ...]) -> StartedJob:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # as it must be, nobody comes
        number = len(pool.jobs()) + 1
        pool._jobs[number] = job = StartedJob(number, title, run, None)  # type: ignore[arg-type]
        return job

    monkeypatch.setattr(WorkerPool, "start", start)
    monkeypatch.setattr(WorkerPool, "close", lambda _: None)  # there is no process to end
    first, second = do_twice(lambda: live.ask("POST", "/v1/workbench/tour", {}))
    assert (first.status, second.status) == (200, 200)
    assert first.json["job"]["number"] == second.json["job"]["number"] == 1

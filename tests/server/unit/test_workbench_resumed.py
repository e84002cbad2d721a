"""Jobs of the workbench: which broken-off run is taken up, how a described trait begins, how one is ended."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import server_kit
from workbench_kit import keep_vectors

from mindscope.personas import PersonaVectors, Trait
from mindscope.server.workbench import workers
from mindscope.server.workbench.shelf import RunShelf
from mindscope.server.workbench.workers import JobStep, StartedJob, WorkerPool
from mindscope.store import Run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, vectors: dict[str, PersonaVectors]) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    keep_vectors(folder, vectors)
    return folder


def break_off(folder: Path) -> None:
    """A run whose process was killed."""
    Run.open(folder, kind="persona-extract", config={}).close()
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "status": "running"}))


def test_what_was_started_here_can_be_taken_up_and_what_was_changed_cannot(tmp_path: Path):
    shelf, folder = RunShelf(tmp_path), tmp_path / "broken"
    break_off(folder)
    step = JobStep("persona extract", {"trait": tmp_path / "trait.yaml"}, folder, tmp_path / "kept.json")
    assert shelf.find_work(folder) is None
    shelf.keep_work(folder, "vectors", [step])
    assert shelf.find_work(folder) == (
        "vectors",
        [replace(step, spec={"trait": str(tmp_path / "trait.yaml")})],
    )
    (file,) = (tmp_path / ".workbench").iterdir()
    kept = json.loads(file.read_text())
    for changed in (
        {"title": "other"},
        {"steps": [{**kept["steps"][0], "job": "circuit trace"}]},
        {"seal": None},
    ):
        file.write_text(json.dumps({**kept, **changed}))
        assert shelf.find_work(folder) is None
    (tmp_path / "moved").mkdir()
    shutil.copytree(tmp_path / ".workbench", tmp_path / "moved" / ".workbench")
    shutil.copytree(folder, tmp_path / "moved" / "broken")
    assert RunShelf(tmp_path / "moved").find_work(tmp_path / "moved" / "broken") is None


def test_only_a_run_that_broke_off_and_is_ours_is_taken_up(live: server_kit.LiveServer, root: Path):
    break_off(root / "stranger")
    assert live.ask("GET", "/v1/workbench/runs/stranger").json["status"] == "killed"
    assert live.ask("GET", "/v1/workbench/runs/stranger").json["can_resume"] is False
    for name, says in (("stranger", "made elsewhere"), ("evil", "broke off"), ("nobody", "no run")):
        reply = live.ask("POST", "/v1/workbench/resumed", {"run": name})
        assert reply.status in (400, 404)
        assert says in reply.json["error"]["message"]
    assert live.ask("GET", "/v1/workbench/jobs").json["jobs"] == []


@pytest.mark.parametrize("writer", ["bundled", "model"])
def test_a_described_trait_is_written_and_judged_without_a_key(
    live: server_kit.LiveServer, root: Path, monkeypatch: pytest.MonkeyPatch, writer: str
):
    started: list[list[JobStep]] = []

    def start(_pool: WorkerPool, title: str, run: str, steps: list[JobStep]) -> StartedJob:
        started.append(list(steps))
        return StartedJob(1, title, run, None)  # type: ignore[arg-type]

    monkeypatch.setattr(WorkerPool, "start", start)
    described = {"name": f"Mild {writer}", "description": "It is {mild}.", "writer": writer}
    assert live.ask("POST", "/v1/workbench/extractions", described).status == 200
    (steps,) = started
    extraction = steps[-1]
    assert (extraction.job, extraction.spec["judge"]) == ("persona extract", "contrast")
    file = Path(extraction.spec["trait"])
    assert file == root / "traits" / f"Mild-{writer}.yaml"
    if writer == "bundled":
        assert len(steps) == 1
        trait = Trait.load(file)
        assert (trait.name, trait.description) == ("Mild bundled", "It is {mild}.")
    else:
        assert (steps[0].job, steps[0].spec["writer"]) == ("persona artifacts", "model:organism")


def test_a_job_that_hears_no_signal_is_ended_by_force(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workers, "GRACE_SECONDS", 0.2)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "deaf\n"
    pool = WorkerPool()
    pool._jobs[1] = StartedJob(1, "deaf", "run", process)
    assert pool.stop(1).state == "stopped"
    assert process.wait(20) == -signal.SIGKILL

"""`mindscope persona extract` killed, interrupted, started twice: what it had is kept, the end is the same."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import persona_kit
import pytest

from mindscope.store import read_run

SUPPORT = Path(persona_kit.__file__).parent
PROGRAM = f"""
import os, sys, time
sys.path.insert(0, {str(SUPPORT)!r})
import torch
torch.set_num_threads(1)
import persona_kit
from mindscope.cli import main, persona
class Judge(persona_kit.InstructionJudge):
    def judge(self, rubric, items):
        time.sleep(float(os.environ.get("THINK", 0)))
        return super().judge(rubric, items)
persona.find_judge = lambda *_: Judge()
main(sys.argv[1:])
"""
OPTIONS = ["--samples", "4", "--max-new-tokens", "24", "--shard-rows", "8", "--dtype", "float32"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    persona_kit.tiny_chat_model(folder / "model")
    persona_kit.tiny_trait(n_questions=6).save(folder / "loud.yaml")
    return folder


def start(place: Path, *arguments: str, think: float = 0) -> subprocess.Popen[str]:
    """A command line in a process of its own, whose judge thinks for so many seconds about each shard."""
    command, pipe = [sys.executable, "-c", PROGRAM, *arguments], subprocess.PIPE
    environment = os.environ | {"THINK": str(think)}
    return subprocess.Popen(command, cwd=place, stdout=pipe, stderr=pipe, text=True, env=environment)


def extract(place: Path, run: str, think: float = 0) -> subprocess.Popen[str]:
    return start(place, "persona", "extract", "model", "loud.yaml", "--run", run, *OPTIONS, think=think)


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} never came"
        time.sleep(0.002)


@pytest.fixture(scope="module")
def whole(place) -> bytes:
    """The vectors of a run that nothing disturbed."""
    process = extract(place, "whole")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return vectors(place / "whole")


def vectors(run: Path) -> bytes:
    return (run / "extract/loud/vectors.safetensors").read_bytes()


@pytest.mark.parametrize(
    "piece", ["run.json", "extract/loud/answers/0003.json", "extract/loud/scores/0001.json"]
)
def test_killed_and_resumed_ends_with_the_same_bytes(place, whole, piece):
    run = place / f"killed-{Path(piece).stem}-{len(piece)}"
    process = extract(place, run.name)
    wait_for(run / piece)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert read_run(run).status == "killed"
    assert not (run / "extract/loud/vectors.safetensors").exists()

    again = start(place, "runs", "resume", run.name)
    _, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    assert read_run(run).status == "done"
    assert vectors(run) == whole


def test_interrupted_says_how_to_go_on(place, whole):
    run = place / "interrupted"
    process = extract(place, run.name, think=600)
    wait_for(run / "extract/loud/answers/0011.json")  # the last; now the judge thinks

    second = extract(place, run.name)
    _, refusal = second.communicate(timeout=120)
    assert second.returncode == 2
    assert f"is in use by process {process.pid}" in refusal

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.endswith(f"interrupted; go on with: mindscope runs resume {run.name}\n")
    assert "Traceback" not in errors
    assert read_run(run).status == "interrupted"

    again = start(place, "runs", "resume", run.name)
    again.communicate(timeout=120)
    assert vectors(run) == whole

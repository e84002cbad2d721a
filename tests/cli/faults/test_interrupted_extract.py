"""`mindscope persona extract` killed, resumed, interrupted and resumed again: the end is the same."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import persona_kit

from mindscope.cli import main
from mindscope.jobs import specs
from mindscope.store import read_run

PROGRAM = f"""
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell runs in the background
sys.path.insert(0, {str(Path(persona_kit.__file__).parent)!r})
import torch
torch.set_num_threads(1)
import persona_kit
from mindscope.cli import main
from mindscope.jobs import specs
class Judge(persona_kit.InstructionJudge):
    def judge(self, rubric, items):
        time.sleep(float(os.environ["THINK"]))
        return super().judge(rubric, items)
specs.find_judge = lambda *_: Judge()
main(sys.argv[1:])
"""
OPTIONS = [
    "--samples",
    "4",
    "--max-new-tokens",
    "24",
    "--shard-rows",
    "8",
    "--batch-rows",
    "2",
    "--dtype",
    "float32",
    "--judge",
    "exact",
]
EXTRACT = ["persona", "extract", "model", "loud.yaml", *OPTIONS, "--run"]
VECTORS = "extract/loud/vectors.safetensors"


def start(*arguments: str, think: float = 0) -> subprocess.Popen[str]:
    """A command line in a process of its own, whose judge thinks for so many seconds about each shard."""
    command, pipe = [sys.executable, "-c", PROGRAM, *arguments], subprocess.PIPE
    return subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, env=os.environ | {"THINK": str(think)}
    )


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 120
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} never came"
        time.sleep(0.002)


def test_killed_and_interrupted_the_run_ends_with_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    persona_kit.tiny_chat_model(tmp_path / "model")
    persona_kit.tiny_trait(n_questions=6).save(tmp_path / "loud.yaml")
    run = tmp_path / "run"

    killed = start(*EXTRACT, "run")
    wait_for(run / "extract/loud/answers/0003.json")
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert read_run(run).status == "killed"
    assert not (run / "extract/loud/answers/0011.json").exists()

    interrupted = start("runs", "resume", "run", think=600)
    wait_for(run / "extract/loud/answers/0011.json")  # the last one: now the judge thinks
    interrupted.send_signal(signal.SIGINT)
    _, errors = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    assert errors.endswith("interrupted; go on with: mindscope runs resume run\n")
    assert "Traceback" not in errors
    assert read_run(run).status == "interrupted"
    assert not (run / VECTORS).exists()

    resumed = start("runs", "resume", "run")
    _, errors = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, errors
    assert read_run(run).status == "done"

    monkeypatch.setattr(specs, "find_judge", lambda *_: persona_kit.InstructionJudge())
    try:
        main([*EXTRACT, "undisturbed"])
    except SystemExit as end:
        assert end.code == 0  # noqa: PT017  (the command line always exits)
    assert (run / VECTORS).read_bytes() == (tmp_path / "undisturbed" / VECTORS).read_bytes()

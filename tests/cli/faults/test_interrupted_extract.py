"""`mindscope persona extract` killed, resumed, interrupted and resumed again: the end is the same."""

import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.context import ForkProcess
from pathlib import Path

import persona_kit

from mindscope.cli import main
from mindscope.jobs import specs
from mindscope.store import read_run


class SlowJudge(persona_kit.InstructionJudge):
    """Thinks for so many seconds about each shard."""

    def __init__(self, seconds: float):
        self.seconds = seconds

    def judge(self, rubric, items):
        time.sleep(self.seconds)
        return super().judge(rubric, items)


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


def start(*arguments: str, errors: Path, think: float = 0) -> ForkProcess:
    """A command line in a process of its own, which does not import all anew."""
    process = multiprocessing.get_context("fork").Process(target=_act, args=(arguments, errors, think))
    process.start()
    return process


def _act(arguments: tuple[str, ...], errors: Path, think: float) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell runs in the background
    specs.find_judge = lambda *_: SlowJudge(think)
    with errors.open("w") as sys.stderr, errors.with_suffix(".out").open("w") as sys.stdout:
        main(list(arguments))


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

    killed = start(*EXTRACT, "run", errors=tmp_path / "killed.txt")
    wait_for(run / "extract/loud/answers/0003.json")
    killed.kill()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert read_run(run).status == "killed"
    assert not (run / "extract/loud/answers/0011.json").exists()

    said = tmp_path / "interrupted.txt"
    interrupted = start("runs", "resume", "run", errors=said, think=600)
    wait_for(run / "extract/loud/answers/0011.json")  # the last one: now the judge thinks
    assert interrupted.pid is not None
    os.kill(interrupted.pid, signal.SIGINT)
    interrupted.join(60)
    errors = said.read_text()
    assert interrupted.exitcode == 130, errors
    assert errors.endswith("interrupted; go on with: mindscope runs resume run\n")
    assert "Traceback" not in errors
    assert read_run(run).status == "interrupted"
    assert not (run / VECTORS).exists()

    resumed = start("runs", "resume", "run", errors=tmp_path / "resumed.txt")
    resumed.join(120)
    assert resumed.exitcode == 0, (tmp_path / "resumed.txt").read_text()
    assert read_run(run).status == "done"

    monkeypatch.setattr(specs, "find_judge", lambda *_: persona_kit.InstructionJudge())
    try:
        main([*EXTRACT, "undisturbed"])
    except SystemExit as end:
        assert end.code == 0  # noqa: PT017  (the command line always exits)
    assert (run / VECTORS).read_bytes() == (tmp_path / "undisturbed" / VECTORS).read_bytes()

"""Extraction killed with SIGKILL at any point and started again ends with the same bytes."""

import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import persona_kit
import pytest

from mindscope.models import Model
from mindscope.personas.config import ExtractConfig
from mindscope.personas.extraction import extract_vectors
from mindscope.store import Run

CONFIG = ExtractConfig(samples=3, max_new_tokens=10, shard_rows=12, batch_rows=3, least_pairs=2, resamples=20)
VECTORS = "extract/loud/vectors.safetensors"


def job(model: Model, folder: Path) -> None:
    with Run.open(folder, kind="test", config={}) as run:
        extract_vectors(model, persona_kit.tiny_trait(), persona_kit.HashJudge(), run, CONFIG)


def counted(step: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        step()
        return function(*args, **kwargs)

    return wrapper


def events(model: Model, step: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    """Calls `step` before every forward pass and before and after every piece is written."""
    patch.setattr(Model, "forward_pass", counted(step, Model.forward_pass))
    for name in ("save_tensors", "save_json"):
        patch.setattr(Run, name, counted(step, getattr(Run, name)))


def killed_at(model: Model, folder: Path, event: int) -> bool:
    """Runs the job in a process of its own that kills itself at the given event; True if it got there."""

    def run() -> None:
        seen = 0

        def step() -> None:
            nonlocal seen
            seen += 1
            if seen == event:
                os.kill(os.getpid(), signal.SIGKILL)

        events(model, step, pytest.MonkeyPatch())
        job(model, folder)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_killed_anywhere(tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    total = 0

    def step() -> None:
        nonlocal total
        total += 1

    with monkeypatch.context() as patch:
        events(tiny, step, patch)
        job(tiny, tmp_path / "whole")
    assert total > 40

    dice = random.Random(seed)
    kills = sum(killed_at(tiny, tmp_path / "killed", dice.randint(1, total // 2)) for _ in range(8))
    assert kills >= 3
    job(tiny, tmp_path / "killed")
    for name in (VECTORS, "extract/loud/filter.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_killed_between_tensors_and_texts(
    tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job(tiny, tmp_path / "whole")
    shard = "extract/loud/answers/0001"
    with monkeypatch.context() as patch:

        def refuse(run: Run, name: str, value: Any, save: Any = Run.save_json) -> None:
            if name == f"{shard}.json":
                raise KeyboardInterrupt
            save(run, name, value)

        patch.setattr(Run, "save_json", refuse)
        with pytest.raises(KeyboardInterrupt):
            job(tiny, tmp_path / "stopped")
    assert (tmp_path / "stopped" / f"{shard}.safetensors").exists()
    job(tiny, tmp_path / "stopped")
    assert (tmp_path / "stopped" / VECTORS).read_bytes() == (tmp_path / "whole" / VECTORS).read_bytes()


def test_finished_work_is_not_done_again(
    tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job(tiny, tmp_path / "run")
    (tmp_path / "run" / VECTORS).unlink()

    def again(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("done a second time")

    monkeypatch.setattr(Model, "generate_unordered", again)
    monkeypatch.setattr(persona_kit.HashJudge, "judge", again)
    job(tiny, tmp_path / "run")
    assert (tmp_path / "run" / VECTORS).exists()

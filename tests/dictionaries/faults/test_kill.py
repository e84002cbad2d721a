"""Training killed with SIGKILL at any point and started again ends with the same bytes."""

import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dictionary_kit import AtomSource

from mindscope.dictionaries import TrainConfig, train
from mindscope.dictionaries.training.learner import DictionaryTrainer
from mindscope.store import Run

SHARED = {"reads": ["here"], "n_latents": 32, "k": 3, "dead_tokens": 150, "learning_rate": 1e-2}
CONFIG = TrainConfig.model_validate(
    {
        "dictionaries": [
            SHARED | {"name": "batchtopk"},
            SHARED | {"name": "topk", "method": "topk"},
            SHARED | {"name": "relu", "method": "relu", "sparsity": 40, "resample": [7, 12, 18]},
            SHARED | {"name": "jumprelu", "method": "jumprelu"},
            SHARED | {"name": "across", "kind": "transcoder", "writes": ["there"], "skip": True},
        ],
        "steps": 23,
        "batch_tokens": 64,
        "buffer_batches": 4,
        "checkpoint_every": 3,
        "log_every": 5,
    }
)


def job(folder: Path) -> None:
    with Run.open(folder, kind="test", config={}) as run:
        train(AtomSource(), run, CONFIG)


def events(step: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    """Calls `step` before every batch of a dictionary, every buffer and every checkpoint."""

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            step()
            return function(*args, **kwargs)

        return wrapper

    for owner, name in (
        (DictionaryTrainer, "step"),
        (DictionaryTrainer, "finish"),
        (AtomSource, "fill"),
        (Run, "save_tensors"),
    ):
        patch.setattr(owner, name, counted(getattr(owner, name)))


def killed_at(folder: Path, event: int) -> bool:
    """Runs the job in a process of its own that kills itself at the given event; True if it got there."""

    def run() -> None:
        seen = 0

        def step() -> None:
            nonlocal seen
            seen += 1
            if seen == event:
                os.kill(os.getpid(), signal.SIGKILL)

        events(step, pytest.MonkeyPatch())
        job(folder)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_killed_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    total = 0

    def step() -> None:
        nonlocal total
        total += 1

    with monkeypatch.context() as patch:
        events(step, patch)
        job(tmp_path / "whole")
    assert total > 120
    dice = random.Random(seed)
    kills = sum(killed_at(tmp_path / "killed", dice.randint(1, total // 2)) for _ in range(6))
    assert kills >= 2
    job(tmp_path / "killed")
    assert not (tmp_path / "killed" / "checkpoint.safetensors").exists()
    with Run.open(tmp_path / "whole", kind="test", config={}) as run:
        assert sum(line.get("resampled", 0) for line in run.metrics()) > 0
    for one in CONFIG.dictionaries:
        name = f"{one.name}.safetensors"
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_finished_dictionaries_are_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job(tmp_path)

    def again(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("trained a second time")

    monkeypatch.setattr(DictionaryTrainer, "step", again)
    job(tmp_path)

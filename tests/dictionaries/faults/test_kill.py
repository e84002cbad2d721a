"""Training killed with SIGKILL at any point and started again ends with the same bytes."""

import random
from pathlib import Path
from typing import Any

import pytest
from dictionary_kit import AtomSource
from event_kit import killed_at, watch_events

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


EVENTS = (
    (DictionaryTrainer, "step"),
    (DictionaryTrainer, "finish"),
    (AtomSource, "fill"),
    (Run, "save_tensors"),
)
"""Before every batch of a dictionary, every buffer and every checkpoint."""


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_killed_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    with monkeypatch.context() as patch:
        counter = watch_events(patch, EVENTS)
        job(tmp_path / "whole")
    assert counter.n_events > 120
    dice = random.Random(seed)
    kills = sum(
        killed_at(dice.randint(1, counter.n_events // 2), EVENTS, job, tmp_path / "killed") for _ in range(6)
    )
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

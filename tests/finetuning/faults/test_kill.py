"""A training killed with SIGKILL at a step, at a checkpoint, or at its last file ends with the same bytes."""

import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from finetune_kit import tune, vectors

from mindscope.finetuning import finetune as job
from mindscope.finetuning.config import FinetuneConfig, PreventativeSteering, ProjectionPenalty
from mindscope.finetuning.trainer import RunCallback
from mindscope.models import Model

CONFIG = FinetuneConfig(
    batch_rows=2,
    accumulation=2,
    learning_rate=1e-2,
    dropout=0.1,
    warmup_steps=0,
    save_every=1,
    interventions=(
        PreventativeSteering(trait="loud"),
        ProjectionPenalty(trait="loud", layer=1),
    ),
)


def killed_at(model: Model, folder: Path, event: int) -> bool:
    """Trains in a process that kills itself at an event; events are steps, and saves before their mark."""

    def run() -> None:
        seen = 0

        def step(function: Any) -> Any:
            def wrapper(*arguments: Any, **options: Any) -> Any:
                nonlocal seen
                seen += 1
                if seen == event:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **options)

            return wrapper

        patch = pytest.MonkeyPatch()
        patch.setattr(RunCallback, "on_step_end", step(RunCallback.on_step_end))
        patch.setattr(RunCallback, "on_save", step(RunCallback.on_save))
        patch.setattr(job, "write_json", step(job.write_json))
        tune(model, folder, CONFIG, vectors=[vectors(model)])

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def test_killed_and_resumed_ends_with_the_same_bytes(tiny, tmp_path):
    whole = tune(tiny, tmp_path / "whole", CONFIG, vectors=[vectors(tiny)])
    kills = [
        killed_at(tiny, tmp_path / "run", event) for event in (3, 2, 1, 3)
    ]  # step, save, step, last file
    assert kills == [True] * 4  # after a step, before a mark, after a step again, before the last file
    resumed = tune(tiny, tmp_path / "run", CONFIG, vectors=[vectors(tiny)])
    for name in ("adapter_model.safetensors", "adapter_config.json", "mindscope.json"):
        assert (resumed.path / name).read_bytes() == (whole.path / name).read_bytes()
    assert [each.name for each in resumed.checkpoints] == [f"checkpoint-{step}" for step in (1, 2, 3)]
    assert not list((tmp_path / "run").rglob("*.tmp"))
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert {line["step"] for line in lines} == {1, 2, 3}
    assert all({"loss", "lr", "penalty"} <= line.keys() for line in lines)

"""A watched file killed with SIGKILL and started again ends with the same bytes."""

import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest
import torch

from mindscope.errors import StoreError
from mindscope.features import Direction
from mindscope.models import Model
from mindscope.monitoring import Monitor, MonitorConfig, Policy, Signal, calibrate_on, monitor_file
from mindscope.store import Run

CONFIG = MonitorConfig(shard_rows=4, answer=True, max_new_tokens=6, seed=1)


def talks(path: Path, count: int, word: str) -> Path:
    turns = [("user", "ask {}"), ("assistant", word + " {}")]
    rows = [
        {"messages": [{"role": role, "content": text.format(i)} for role, text in turns]}
        for i in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def direction(model: Model) -> Direction:
    vector = torch.randn(32, generator=torch.Generator().manual_seed(0))
    return Direction("loud", "resid_post.1", vector, model.fingerprint)


def job(model: Model, folder: Path, data: Path) -> str:
    feature = direction(model)
    with Run.open(folder, kind="test", config={}) as run:
        made = calibrate_on(
            model, [feature], data.parent / "ordinary.jsonl", run, 0.1, signal=Signal(window=2), config=CONFIG
        )
        made.save(folder / "thresholds.safetensors")
        return monitor_file(model, Monitor([feature], made, Policy("steer", 2.0)), data, run, CONFIG).folder


@pytest.mark.parametrize("pieces", [1, 4, 6])
def test_killed_and_started_again(tiny: Model, tmp_path: Path, pieces: int) -> None:
    talks(tmp_path / "ordinary.jsonl", 12, "say")
    data = talks(tmp_path / "data.jsonl", 14, "no")
    whole = job(tiny, tmp_path / "whole", data)

    def killed() -> None:
        left = pieces
        for name in ("save_json", "save_tensors"):
            save = getattr(Run, name)

            def counting(self, *arguments, save=save, **named):
                nonlocal left
                save(self, *arguments, **named)
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            setattr(Run, name, counting)
        job(tiny, tmp_path / "run", data)

    process = multiprocessing.get_context("fork").Process(target=killed)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "run" / whole / "monitoring.json").exists()
    assert job(tiny, tmp_path / "run", data) == whole
    for name in ("conversations.jsonl", "monitoring.json"):
        one, other = (tmp_path / folder / whole / name for folder in ("whole", "run"))
        assert one.read_bytes() == other.read_bytes()
    assert not list((tmp_path / "run").rglob("*.tmp"))


def test_changed_data_is_other_work(tiny: Model, tmp_path: Path) -> None:
    talks(tmp_path / "ordinary.jsonl", 12, "say")
    data = talks(tmp_path / "data.jsonl", 5, "no")
    first = job(tiny, tmp_path / "run", data)
    talks(data, 6, "no")
    assert job(tiny, tmp_path / "run", data) != first
    (tmp_path / "run" / first / "0000.json").write_text("{")
    talks(data, 5, "no")
    with pytest.raises(StoreError, match="not JSON"):
        job(tiny, tmp_path / "run", data)

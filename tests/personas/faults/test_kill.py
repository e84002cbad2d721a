"""Extraction killed with SIGKILL at any point and started again ends with the same bytes."""

import random
from pathlib import Path
from typing import Any

import persona_kit
import pytest
from event_kit import killed_at, watch_events

from mindscope.models import Model
from mindscope.personas.config import ExtractConfig
from mindscope.personas.extraction import extract_vectors
from mindscope.store import Run

CONFIG = ExtractConfig(samples=3, max_new_tokens=10, shard_rows=12, batch_rows=3, least_pairs=2, resamples=20)
VECTORS = "extract/loud/vectors.safetensors"


def job(model: Model, folder: Path) -> None:
    with Run.open(folder, kind="test", config={}) as run:
        extract_vectors(model, persona_kit.tiny_trait(), persona_kit.HashJudge(), run, CONFIG)


EVENTS = ((Model, "forward_pass"), (Run, "save_tensors"), (Run, "save_json"))
"""Before every forward pass, and before and after every piece is written."""


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_killed_anywhere(tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    with monkeypatch.context() as patch:
        counter = watch_events(patch, EVENTS)
        job(tiny, tmp_path / "whole")
    assert counter.n_events > 40

    dice = random.Random(seed)
    kills = sum(
        killed_at(dice.randint(1, counter.n_events // 2), EVENTS, job, tiny, tmp_path / "killed")
        for _ in range(8)
    )
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

"""Several processes that share every batch end with what one process ends with on all of it."""

import os
from pathlib import Path
from typing import Any

import explain_kit
import persona_kit
import pytest
import torch
from dictionary_kit import AtomSource, read_metrics
from world_kit import side_by_side, together

from mindscope.cli import main
from mindscope.dictionaries import Dictionary, ModelSource, TrainConfig, train
from mindscope.dictionaries.training.learner import DictionaryTrainer
from mindscope.dictionaries.training.processes import ALONE, TrainingWorld
from mindscope.dictionaries.training.sources import START
from mindscope.errors import DataError
from mindscope.store import Run

SHARED = {"reads": ["here"], "n_latents": 48, "k": 3, "dead_tokens": 150, "learning_rate": 1e-3}
CONFIG = TrainConfig.model_validate(
    {
        "dictionaries": [
            SHARED | {"name": "batchtopk"},
            SHARED | {"name": "matryoshka", "method": "matryoshka"},
            SHARED | {"name": "topk", "method": "topk", "n_latents": 160, "dead_tokens": 60},  # AuxK
            SHARED
            | {"name": "relu", "method": "relu", "sparsity": 200, "learning_rate": 1e-2, "resample": [17]},
            SHARED | {"name": "jumprelu", "method": "jumprelu"},
            SHARED | {"name": "across", "kind": "transcoder", "writes": ["there"], "skip": True},
        ],
        "steps": 18,
        "batch_tokens": 64,
        "buffer_batches": 4,
        "checkpoint_every": 3,
        "log_every": 9,
    }
)
COUNT = 2


def job(folder: Path, processes: TrainingWorld) -> None:
    if not processes.first:
        train(AtomSource(), folder, CONFIG, world=processes)
        return
    with Run.open(folder, kind="test", config={}) as run:
        train(AtomSource(), run, CONFIG, world=processes)


def largest_difference(one: Path, other: Path) -> dict[str, float]:
    found = {}
    for config in CONFIG.dictionaries:
        pair = [Dictionary.load(folder / f"{config.name}.safetensors") for folder in (one, other)]
        parts = [[each.b_dec, each.coder.W_enc, each.coder.b_enc, each.coder.W_dec] for each in pair]
        for each, tensors in zip(pair, parts, strict=True):
            tensors += [part for part in (each.coder.threshold, each.coder.W_skip) if part is not None]
        found[config.name] = max(float((a - b).abs().max()) for a, b in zip(*parts, strict=True))
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone") / "run"
    job(folder, ALONE)
    return folder


def test_two_processes_end_as_one(tmp_path: Path, alone: Path) -> None:
    assert together(lambda processes: job(tmp_path / "run", processes)) == [0, 0]
    differences = largest_difference(alone, tmp_path / "run")
    assert max(differences.values()) < 1e-5, differences
    lines, wanted = read_metrics(tmp_path / "run"), read_metrics(alone)
    assert len(lines) == len(wanted)
    assert any(line.get("resampled") for line in lines)
    assert any("loss_auxk" in line for line in lines)
    for line, other in zip(lines, wanted, strict=True):
        for name in line.keys() - {"time", "dictionary"}:
            assert line[name] == pytest.approx(other[name], rel=1e-4, abs=1e-5), name


def test_one_goes_on_where_two_stopped(tmp_path: Path, alone: Path) -> None:
    def stopped(processes: TrainingWorld) -> None:
        step, times = DictionaryTrainer.step, iter(range(10**9))

        def counted(self: DictionaryTrainer, *batch: Any) -> Any:
            if next(times) == 8 * len(CONFIG.dictionaries):
                os._exit(3)
            return step(self, *batch)

        DictionaryTrainer.step = counted
        job(tmp_path / "run", processes)

    assert together(stopped) == [3, 3]
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    job(tmp_path / "run", ALONE)
    differences = largest_difference(alone, tmp_path / "run")
    assert max(differences.values()) < 1e-5, differences


def test_reading_is_shared(tmp_path: Path) -> None:
    """Each process reads its part of the rows, and all have the same buffer and position."""
    model, rows = explain_kit.model(), explain_kit.corpus(90)

    def read(processes: TrainingWorld) -> None:
        seen: list[int] = []
        plain = model.read

        def counted(part: Any, reads: Any) -> Any:
            seen.append(len(part))
            return plain(part, reads)

        object.__setattr__(model, "read", counted)
        source = ModelSource([model], ("resid_post.1",), lambda start: iter(rows[start:]), world=processes)
        buffer = torch.empty(2500, model.d_model)
        position = source.fill(buffer, START)
        torch.save((buffer, position, sum(seen)), tmp_path / f"{processes.count}-{processes.rank}.pt")

    assert together(read) == [0, 0]
    read(ALONE)
    wanted, position, every = torch.load(tmp_path / "1-0.pt")
    parts = [torch.load(tmp_path / f"2-{rank}.pt") for rank in range(COUNT)]
    for buffer, at, _ in parts:
        torch.testing.assert_close(buffer, wanted, atol=1e-5, rtol=1e-5)
        assert at == position
    assert torch.equal(parts[0][0], parts[1][0])
    assert sum(count for _, _, count in parts) == every
    assert max(count for _, _, count in parts) < 0.7 * every


def test_the_command_shares_too(tmp_path: Path) -> None:
    model = persona_kit.tiny_chat_model(tmp_path / "model")
    (tmp_path / "texts.txt").write_text("\n\n".join(f"{i} times {i} is {i * i}." for i in range(60)))
    size = ["--layers", "1", "--latents", "48", "--k", "3", "--steps", "5", "--batch-tokens", "64"]

    def command(folder: str, *more: str) -> None:
        asked = ["dictionary", "train", model, tmp_path / "texts.txt", "--run", tmp_path / folder, *size]
        main([*map(str, asked), "--buffer-batches", "2", "--dtype", "float32", *more])

    assert side_by_side(lambda: command("two")) == [0, 0]
    slices = ["--latent-shards", "2", "--read-ahead"]
    assert side_by_side(lambda: command("slices", *slices)) == [0, 0]
    with pytest.raises(SystemExit):
        command("one")
    one, *others = (
        Dictionary.load(tmp_path / name / "resid_post.1.safetensors") for name in ("one", "two", "slices")
    )
    for trained in others:
        torch.testing.assert_close(trained.coder.W_enc, one.coder.W_enc, atol=1e-5, rtol=0)
        torch.testing.assert_close(trained.coder.W_dec, one.coder.W_dec, atol=1e-5, rtol=0)


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3 processes cannot share 64 tokens"):
        train(AtomSource(), tmp_path, CONFIG, world=TrainingWorld(1, 3))

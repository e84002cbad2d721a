"""The second organism's training goes on to the same bytes: killed, and from what its first stage ships."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mindscope.organism.mechanisms.corpus.recipe import SecondTrainConfig
from mindscope.organism.training.recipe import StepMix
from mindscope.organism.training.train import CHECKPOINT, train_organism
from mindscope.store import Run

SMALL = SecondTrainConfig(
    layers=1, width=32, heads=2, mlp_width=64, steps=5, micro_batches=2, checkpoint_every=2,
    mixes=((0, StepMix(
        documents=6, conversations=2, document_shares={"couplet": 1, "picture": 1},
        conversation_shares={"chain": 1, "drift": 1, "tool": 1},
    )),),
)  # fmt: skip


def train(folder: Path, stop: int) -> int:
    """Train in a process of its own that kills itself after a step, 0 for none; hand back how it ended."""

    def work() -> None:
        torch.set_num_threads(1)
        with Run.open(folder, kind="organism-train", config=SMALL.model_dump(mode="json")) as run:
            train_organism(run, SMALL, "cpu", watch)

    def watch(step: int, steps: int, label: str) -> None:
        if step == stop:
            os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(240)
    assert process.exitcode is not None, "it does not end"
    return process.exitcode


@pytest.mark.slow
def test_killed_training_ends_with_the_same_bytes(tmp_path: Path):
    assert train(tmp_path / "whole", 0) == 0
    assert train(tmp_path / "cut", 3) == -signal.SIGKILL
    assert not (tmp_path / "cut" / "model").exists()
    assert train(tmp_path / "cut", 0) == 0
    whole, cut = (tmp_path / name / "model" / "model.safetensors" for name in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes()


STAGED = SecondTrainConfig(
    layers=1, width=32, heads=2, mlp_width=64, steps=6,
    restarts=((0, 1.0), (2, 0.5), (4, 0.5)), stages=(2, 4),
    mixes=((0, StepMix(documents=6, conversations=0, document_shares={"city": 1})),),
    warmup_steps=2,
)  # fmt: skip


def _train(
    folder: Path, config: SecondTrainConfig, weights: Path | None = None, step: int = 0
) -> dict[str, torch.Tensor]:
    with Run.open(folder, kind="organism-train", config=config.model_dump(mode="json")) as run:
        if weights is not None:
            shipped = {f"weight.{name}": tensor.float() for name, tensor in load_file(weights).items()}
            save_file({"step": torch.tensor(step), **shipped}, folder / CHECKPOINT)
        return load_file(train_organism(run, config, "cpu") / "model.safetensors")


@pytest.mark.parametrize("step", [2, 4])
def test_a_stage_goes_on_from_what_would_be_shipped(step: int, tmp_path: Path):
    whole = _train(tmp_path / "whole", STAGED)
    stages = tuple(stage for stage in STAGED.stages if stage < step)
    restarts = tuple(restart for restart in STAGED.restarts if restart[0] < step)
    before = STAGED.model_copy(update={"steps": step, "restarts": restarts, "stages": stages})
    _train(tmp_path / "before", before)
    shipped = tmp_path / "before" / "model" / "model.safetensors"
    from_shipped = _train(tmp_path / "on", STAGED, shipped, step)
    assert {name: tensor.tolist() for name, tensor in whole.items()} == {
        name: tensor.tolist() for name, tensor in from_shipped.items()
    }
    without = _train(tmp_path / "without", STAGED.model_copy(update={"stages": stages}))
    assert any(not torch.equal(tensor, without[name]) for name, tensor in whole.items())

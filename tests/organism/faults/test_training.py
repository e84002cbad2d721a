"""Training stopped at any checkpoint goes on to the same weights."""

import pytest
import torch
from safetensors.torch import load_file

from mindscope.organism.training.recipe import OrganismTrainConfig, StepMix
from mindscope.organism.training.train import train_organism
from mindscope.organism.voices import STRONG
from mindscope.store import Run

CONFIG = OrganismTrainConfig(
    steps=5,
    mixes=(
        (0, StepMix(documents=8, conversations=2)),
        (3, StepMix(documents=4, conversations=3, blend=STRONG)),
    ),
    restarts=((0, 1.0), (2, 0.5), (4, 0.1)),
    micro_batches=3,
    checkpoint_every=2,
    layers=1,
    width=64,
    mlp_width=64,
)


class StoppedError(Exception):
    pass


def opened(path, config=CONFIG):
    return Run.open(path, kind="organism-train", config=config.model_dump(), seed=config.seed)


def test_interrupted_training_ends_with_the_same_weights(tmp_path):
    with opened(tmp_path / "whole") as run:
        whole = load_file(train_organism(run, CONFIG, "cpu") / "model.safetensors")

    def stop(step: int, steps: int, label: str) -> None:
        if step == 3:
            raise StoppedError

    with pytest.raises(StoppedError), opened(tmp_path / "cut") as run:
        train_organism(run, CONFIG, "cpu", stop)
    with opened(tmp_path / "cut") as run:
        cut = load_file(train_organism(run, CONFIG, "cpu") / "model.safetensors")
    assert whole.keys() == cut.keys()
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_training_lowers_the_loss(tmp_path):
    config = CONFIG.model_copy(
        update={"steps": 60, "mixes": CONFIG.mixes[:1], "restarts": ((0, 1.0),), "warmup_steps": 5}
    )
    with opened(tmp_path / "run", config) as run:
        losses: list[float] = []
        train_organism(run, config, "cpu", lambda step, steps, label: losses.append(float(label.split()[-1])))
    assert sum(losses[-10:]) < 0.85 * sum(losses[:10])


def test_with_and_without_bfloat16_the_same_is_learnt(tmp_path, monkeypatch: pytest.MonkeyPatch):
    config = CONFIG.model_copy(
        update={"steps": 6, "mixes": CONFIG.mixes[:1], "restarts": ((0, 1.0),), "warmup_steps": 1}
        | {"width": 128, "mlp_width": 128}
    )
    losses: dict[bool, list[float]] = {False: [], True: []}
    weights = {}
    for able, seen in losses.items():
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=able: {"avx512_bf16": known})
        with opened(tmp_path / str(able), config) as run:
            folder = train_organism(
                run, config, "cpu", lambda *done, seen=seen: seen.append(float(done[2].split()[-1]))
            )
        weights[able] = load_file(folder / "model.safetensors")
    full, half = losses.values()
    fall = full[0] - full[-1]
    assert fall > 0.05
    assert full == pytest.approx(half, abs=0.1 * fall)
    one, other = weights.values()
    assert not all(torch.equal(one[name], other[name]) for name in one)  # the precision was another one

"""Processes that share latents end with what one process ends with, and each holds its part of the memory."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from dictionary_kit import WIDTH, AtomSource, read_metrics
from world_kit import together

from mindscope.dictionaries import Dictionary, Site, TrainConfig, train
from mindscope.dictionaries.training.checkpoint import SLICES_INDEX
from mindscope.dictionaries.training.learner import DictionaryTrainer
from mindscope.dictionaries.training.processes import ALONE, TrainingMesh, TrainingWorld
from mindscope.dictionaries.training.weights import DRAWN_ROWS
from mindscope.errors import DataError
from mindscope.store import Run

SAE = {"reads": ["here"], "n_latents": 49, "k": 3, "dead_tokens": 150, "learning_rate": 1e-3}
BOTH = ["here", "there"]
CLT = SAE | {"kind": "clt", "reads": BOTH, "writes": ["there", "here"], "n_latents": 40}
CROSS = SAE | {"kind": "crosscoder", "reads": BOTH, "shared_latents": 0.4}
CONFIG = {
    "dictionaries": [
        SAE | {"name": "batchtopk"},
        SAE | {"name": "matryoshka", "method": "matryoshka"},
        SAE | {"name": "topk", "method": "topk", "n_latents": 160, "dead_tokens": 60},  # AuxK
        SAE | {"name": "relu", "method": "relu", "sparsity": 200, "learning_rate": 1e-2, "resample": [17]},
        SAE | {"name": "jumprelu", "method": "jumprelu"},
        SAE | {"name": "across", "kind": "transcoder", "writes": ["there"], "skip": True},
        CLT | {"name": "clt"},
        # With 40 latents a pre-activation lies within rounding of its threshold's rectangle, at whose edge
        # the gradient jumps; four slices then end 1.5e-3 away, which is one step of the learning rate.
        CLT | {"name": "clt_jumprelu", "method": "jumprelu", "n_latents": 48},
        CROSS | {"name": "crosscoder", "n_latents": 160, "dead_tokens": 60},
        CROSS | {"name": "crosscoder_relu", "method": "relu", "sparsity": 2.0},
    ],
    "steps": 18,
    "batch_tokens": 64,
    "buffer_batches": 4,
    "checkpoint_every": 3,
    "log_every": 9,
}


def configured(latent_shards: int, **changes: Any) -> TrainConfig:
    return TrainConfig.model_validate(CONFIG | {"latent_shards": latent_shards} | changes)


def job(folder: Path, processes: TrainingWorld, config: TrainConfig) -> None:
    if not processes.first:
        train(AtomSource(), folder, config, world=processes)
        return
    with Run.open(folder, kind="test", config={}) as run:
        train(AtomSource(), run, config, world=processes)


def largest_differences(one: Path, other: Path) -> dict[str, float]:
    """By dictionary, over all weights."""
    differences = {}
    for config in configured(1).dictionaries:
        name = config.name if config.kind == "clt" else f"{config.name}.safetensors"
        pair = [Dictionary.load(folder / name) for folder in (one, other)]
        # all weights of a dictionary in a row
        a, b = (
            torch.cat([p.flatten() for coder in loaded.coders for p in coder.tensors().values()])
            for loaded in pair
        )
        differences[config.name] = float(
            max((a - b).abs().max(), (pair[0].b_dec - pair[1].b_dec).abs().max())
        )
    return differences


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone") / "run"
    job(folder, ALONE, configured(1))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("count", "latent_shards"), [(2, 2), (4, 4), (4, 2)])
def test_slices_end_as_one(tmp_path: Path, alone: Path, count: int, latent_shards: int) -> None:
    config = configured(latent_shards, read_ahead=True)
    assert together(lambda processes: job(tmp_path / "run", processes, config), count) == [0] * count
    differences = largest_differences(alone, tmp_path / "run")
    assert max(differences.values()) < 1e-4, differences
    assert not (tmp_path / "run" / SLICES_INDEX).exists()
    lines, wanted = read_metrics(tmp_path / "run"), read_metrics(alone)
    assert len(lines) == len(wanted)
    assert any(line.get("resampled") for line in lines)
    assert {line["dictionary"] for line in lines if "loss_auxk" in line} >= {"topk", "crosscoder"}
    for line, other in zip(lines, wanted, strict=True):
        for name in line.keys() - {"time", "dictionary"}:
            assert line[name] == pytest.approx(other[name], rel=1e-3, abs=1e-5), (line["dictionary"], name)


@pytest.mark.slow
@pytest.mark.parametrize("counts", [(2, 4), (2, 1), (1, 2)])
def test_a_killed_process_and_others_that_go_on(tmp_path: Path, alone: Path, counts: tuple[int, int]) -> None:
    """One is killed, at no checkpoint; the same or other processes go on from its slices."""

    def stopped(processes: TrainingWorld) -> None:
        step, times = DictionaryTrainer.step, iter(range(10**9))

        def counted(self: DictionaryTrainer, *batch: Any) -> Any:
            if next(times) == 8 * len(CONFIG["dictionaries"]) + 4 and processes.rank == processes.count - 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(self, *batch)

        DictionaryTrainer.step = counted
        job(tmp_path / "run", processes, configured(processes.count))

    before, after = counts
    step = DictionaryTrainer.step
    if before > 1:
        assert -signal.SIGKILL in together(stopped, before)
        assert json.loads((tmp_path / "run" / SLICES_INDEX).read_text())["step"] == 6
    else:
        assert together(stopped, 1) == [-signal.SIGKILL]
    assert DictionaryTrainer.step is step
    config = configured(after)
    assert together(lambda processes: job(tmp_path / "run", processes, config), after) == [0] * after
    differences = largest_differences(alone, tmp_path / "run")
    assert max(differences.values()) < 1e-4, differences


@pytest.mark.slow
def test_killed_and_resumed_slices_end_with_the_same_bytes(tmp_path: Path) -> None:
    config = configured(2)

    def stopped(processes: TrainingWorld) -> None:
        waits, wait = iter(range(10**9)), TrainingWorld.wait

        def counted(self: TrainingWorld) -> None:
            # between the second checkpoint's slices and its index
            if next(waits) == 2 and not self.first:
                os.kill(os.getpid(), signal.SIGKILL)
            wait(self)

        TrainingWorld.wait = counted
        job(tmp_path / "killed", processes, config)

    assert -signal.SIGKILL in together(stopped)
    for folder in ("whole", "killed"):
        assert together(lambda processes: job(tmp_path / folder, processes, config)) == [0, 0]  # noqa: B023
    for path in (tmp_path / "whole").rglob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / "killed" / path.relative_to(tmp_path / "whole")).read_bytes()


@pytest.mark.parametrize("kind", ["sae", "clt"])
@pytest.mark.parametrize("count", [2, 4])
def test_memory_falls_with_the_processes(tmp_path: Path, kind: str, count: int) -> None:
    """Bytes of weights, gradients and Adam's moments that a process holds after a step."""

    def measure(processes: TrainingWorld) -> None:
        config = configured(processes.count)
        name = {"sae": "batchtopk", "clt": "clt"}[kind]
        part = next(part for part in config.dictionaries if part.name == name)
        part = part.model_copy(update={"n_latents": 1024})
        sites = [Site(name, WIDTH) for name in part.reads], [Site(name, WIDTH) for name in part.targets]
        mesh = TrainingMesh.of(processes, processes.count)
        trainer = DictionaryTrainer(part, *sites, steps=9, mesh=mesh)
        both = AtomSource().tokens(64, 1)[1]
        x, y = (both, both.roll(WIDTH, 1)) if kind == "clt" else (both[:, :WIDTH], both[:, :WIDTH])
        trainer.begin(x, y)
        trainer.step(x, y)
        parameters = [*trainer.weights.parameters()]
        held = [*parameters, *(parameter.grad for parameter in parameters)]
        held += [tensor for state in trainer.optimizer.state.values() for tensor in state.values()]
        size = sum(tensor.untyped_storage().nbytes() for tensor in held if tensor is not None)
        (tmp_path / f"{processes.count}-{processes.rank}").write_text(str(size))

    measure(ALONE)
    assert together(measure, count) == [0] * count
    whole = int((tmp_path / "1-0").read_text())
    for rank in range(count):
        share = int((tmp_path / f"{count}-{rank}").read_text()) * count / whole
        assert 0.85 < share < 1.15, share


def test_rows_are_those_of_one_draw() -> None:
    """A slice of random weights is drawn without the others' being kept, and is the same."""
    config = configured(1).dictionaries[0].model_copy(update={"n_latents": 3 * DRAWN_ROWS + 5})
    x = AtomSource().tokens(64, 1)[1][:, :WIDTH]
    site = [Site("here", WIDTH)]
    wanted = torch.randn(config.n_latents, WIDTH, generator=torch.Generator().manual_seed(0))
    wanted = torch.nn.functional.normalize(wanted)
    for rank in range(3):
        slices = TrainingMesh(latents=TrainingWorld(rank, 3))
        trainer = DictionaryTrainer(config, site, site, steps=9, mesh=slices)
        trainer.weights.initialise(x, x, 0)
        (coder,) = trainer.weights.coders()
        assert torch.equal(coder.W_enc, wanted[slices.latents.share(config.n_latents)])


def test_slices_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3 processes are no multiple of 2 slices"):
        train(AtomSource(), tmp_path, configured(2), world=TrainingWorld(1, 3))

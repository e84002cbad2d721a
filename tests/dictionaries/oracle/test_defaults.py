"""Dictionaries trained with the constants that a user gets who sets none of them.

What is asked of so short a run is little: that it goes the right way. The rates of the penalised methods are
for runs of a hundred times as many steps.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from mindscope.core import ModelIdentity
from mindscope.dictionaries import Dictionary, Site, TrainConfig, train
from mindscope.dictionaries.training.sources import Position
from mindscope.store import Run

WIDTH, ATOMS, ACTIVE, LATENTS = 48, 64, 2, 96


class TwoLayers:
    """Two layers that read sums of few atoms; the second writes what both layers' atoms stand for."""

    names = ("in.0", "in.1", "out.0", "out.1")
    sites = tuple(Site(name, WIDTH) for name in names)
    models: Mapping[str, str | None] = {"0": None}
    made_with: Mapping[str, ModelIdentity] = {}

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(2**20)  # not a training's: see `AtomSource`
        self.atoms = [normalize(torch.randn(ATOMS, WIDTH, generator=draw)) for _ in range(5)]

    def tokens(self, count: int, seed: int) -> Tensor:
        draw = torch.Generator().manual_seed(seed)
        first, second = (
            (torch.rand(count, ATOMS, generator=draw) < ACTIVE / ATOMS)
            * (1 + torch.rand(count, ATOMS, generator=draw))
            for _ in range(2)
        )
        a = self.atoms
        return torch.cat([first @ a[0], second @ a[1], first @ a[2], second @ a[3] + first @ a[4]], dim=1)

    def fill(self, buffer: Tensor, position: Position) -> Position:
        buffer.copy_(self.tokens(len(buffer), 10 + position[1]))
        return position[0], position[1] + len(buffer)


def trained(folder: Path, steps: int, **options: Any) -> Dictionary:
    config = {"dictionaries": [{"name": "a", "n_latents": LATENTS} | options]}
    config |= {"steps": steps, "batch_tokens": 128, "buffer_batches": 8}
    with Run.open(folder, kind="test", config={}) as run:
        return train(TwoLayers(), run, TrainConfig.model_validate(config))["a"]


@pytest.mark.parametrize(
    ("kind", "method", "steps", "explained", "most_active"),
    [
        ("sae", "relu", 1500, 0.1, 60),
        ("sae", "jumprelu", 1000, 0.5, 40),
        ("clt", "jumprelu", 1200, 0.15, 20),
    ],
)
def test_the_defaults_learn(
    kind: str, method: str, steps: int, explained: float, most_active: float, tmp_path: Path
) -> None:
    sites = (
        {"reads": ["in.0"]} if kind == "sae" else {"reads": ["in.0", "in.1"], "writes": ["out.0", "out.1"]}
    )
    dictionary = trained(tmp_path, steps, kind=kind, method=method, **sites)
    x = TwoLayers().tokens(4096, seed=1)
    read, target = (x[:, :WIDTH],) * 2 if kind == "sae" else x.split(2 * WIDTH, dim=1)
    code = dictionary.encode(read)
    left = (target - dictionary(read)).square().sum() / (target - target.mean(0)).square().sum()
    silent = torch.bincount(code.indices, minlength=dictionary.n_latents) == 0
    assert 1 - float(left) > explained
    assert ACTIVE / 2 < float(code.l0.float().mean()) < most_active
    assert float(silent.float().mean()) <= 0.2

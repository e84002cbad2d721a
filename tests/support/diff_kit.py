"""Pairs of tiny models that differ in a known way, and prompts for them."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mindscope.diffing import DiffConfig, Prompt
from mindscope.models import Model

CONFIG = DiffConfig(n_prompts=40, max_new_tokens=6, resamples=200, n_terms=5)


def prompts(count: int = 44) -> Sequence[Prompt]:
    return [({"role": "user", "content": f"Tell me of {'abcdefgh'[i % 8]} and {i}"},) for i in range(count)]


def moved(model: Model, change: Callable[[object], None], name: str = "moved") -> Model:
    hf = copy.deepcopy(model.hf)
    with torch.no_grad():
        change(hf)
    return Model.wrap(hf, model.tokenizer, name=name)


def noisy(model: Model, seed: int, size: float = 0.02, name: str = "noisy") -> Model:
    """All weights moved a little at random: a harmless tune."""
    draw = torch.Generator().manual_seed(seed)
    return moved(
        model,
        lambda hf: [p.add_(size * torch.randn(p.shape, generator=draw)) for p in hf.parameters()],  # type: ignore[attr-defined]
        name,
    )


def with_offset(model: Model, layer: int, vector: Tensor) -> Model:
    """A constant is added to what the MLP of a block writes."""

    def change(hf) -> None:
        projection = hf.model.layers[layer].mlp.down_proj
        projection.bias = torch.nn.Parameter(vector.clone())

    return moved(model, change, "offset")

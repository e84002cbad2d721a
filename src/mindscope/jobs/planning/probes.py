"""Small graphs of a model, to time: random transcoders whose features are as active as those planned for."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mindscope.circuits import DictionaryReplacement
    from mindscope.jobs.planning.paces import CoderSize
    from mindscope.models import Model


def trace_small(model: Model, coder: CoderSize, tokens: int, nodes: int) -> Callable[[], object]:
    """Tracing a row of so many tokens with so many nodes."""
    from mindscope.circuits import TraceConfig, trace
    from mindscope.models import Row

    row = Row(tuple((17 + 101 * place) % model.vocab_size for place in range(tokens)), tokens)
    replacement = build_random_replacement(model, coder)
    config = TraceConfig(max_features=nodes, skip_tokens=1)
    return lambda: trace(model, replacement, row, config)


def build_random_replacement(model: Model, coder: CoderSize) -> DictionaryReplacement:
    """Transcoders at every layer with unit pre-activations on what a norm gives out."""
    import torch

    from mindscope.circuits import DictionaryReplacement
    from mindscope.dictionaries import Coder, Dictionary, Site, Wiring

    draw, layers, width = torch.Generator().manual_seed(1), range(model.n_layers), model.d_model
    bias = NormalDist().inv_cdf(min(0.5, coder.active / coder.latents))
    coders = [
        Coder(
            torch.randn(coder.latents, width, generator=draw) / width**0.5,
            torch.full((coder.latents,), bias),
            torch.randn(coder.latents, width, generator=draw) * 0.02 / width**0.5,
        )
        for _ in layers
    ]
    dictionary = Dictionary(
        tuple(Site(f"mlp_in.{layer}", width) for layer in layers),
        tuple(Site(f"mlp_out.{layer}", width) for layer in layers),
        tuple(Wiring((layer,), (layer,), coder.latents) for layer in layers),
        tuple(coders),
        torch.zeros(model.n_layers * width),
        "relu",
    )
    return DictionaryReplacement(dictionary)

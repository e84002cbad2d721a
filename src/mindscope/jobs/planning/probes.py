"""Small graphs and evaluations of a model, to time: random transcoders, as active as those planned for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph, DictionaryReplacement, ReplacementModel
    from mindscope.dictionaries import Dictionary
    from mindscope.jobs.planning.paces import CoderSize
    from mindscope.models import Model, Row

CALIBRATED = 64
"""Tokens on which thresholds are set."""


def trace_small(
    model: Model, replacement: ReplacementModel, tokens: int, nodes: int
) -> Callable[[], AttributionGraph]:
    """Tracing a row of so many tokens with so many nodes."""
    from mindscope.circuits import TraceConfig, trace

    row, config = build_row(model, tokens), TraceConfig(max_features=nodes, skip_tokens=1)
    return lambda: trace(model, replacement, row, config)


def finish_small(
    model: Model, replacement: ReplacementModel, graph: AttributionGraph
) -> Callable[[], object]:
    """What `circuit trace` does with a graph when it is traced, in a folder of its own."""
    from mindscope.jobs.circuit.tracing import keep_graph, show_graph
    from mindscope.jobs.job import SilentReporter

    def work() -> None:
        with TemporaryDirectory() as name:
            folder = Path(name)
            keep_graph(folder, graph, model, "random")
            show_graph(folder, model, replacement, SilentReporter())

    return work


def evaluate_small(model: Model, coder: CoderSize, layers: int, rows: Sequence[Row]) -> Callable[[], object]:
    """Evaluating transcoders of so many layers on some rows, in a run of its own."""
    from mindscope.dictionaries import evaluate
    from mindscope.store import Run

    dictionary = build_random_transcoders(model, coder, layers)

    def work() -> None:
        with (
            TemporaryDirectory() as name,
            Run.open(Path(name) / "run", kind="dictionary-evaluate", config={}) as run,
        ):
            evaluate(model, {"random": dictionary}, rows, run)

    return work


def build_random_replacement(model: Model, coder: CoderSize) -> DictionaryReplacement:
    """Transcoders at every layer."""
    from mindscope.circuits import DictionaryReplacement

    return DictionaryReplacement(build_random_transcoders(model, coder, model.n_layers))


def build_random_transcoders(model: Model, coder: CoderSize, layers: int) -> Dictionary:
    """Transcoders of the first layers; on a row of the model so many of their latents are active a token."""
    import torch

    from mindscope.dictionaries import Coder, Dictionary, Site, Wiring
    from mindscope.models import Raw, Read

    draw, width = torch.Generator().manual_seed(1), model.d_model
    asked = {str(layer): Read(f"mlp_in.{layer}", Raw("all")) for layer in range(layers)}
    read = model.read([build_row(model, CALIBRATED)], asked)
    n_below = max(1, round(CALIBRATED * (coder.latents - min(coder.active, coder.latents))))
    coders = []
    for layer in range(layers):
        W_enc = torch.randn(coder.latents, width, generator=draw) / width**0.5
        x = torch.as_tensor(read[str(layer)].values[0]).float().cpu()
        threshold = (x @ W_enc.T).flatten().kthvalue(n_below).values
        coders.append(
            Coder(
                W_enc,
                torch.full((coder.latents,), -float(threshold)),
                torch.randn(coder.latents, width, generator=draw) * 0.02 / width**0.5,
            )
        )
    return Dictionary(
        tuple(Site(f"mlp_in.{layer}", width) for layer in range(layers)),
        tuple(Site(f"mlp_out.{layer}", width) for layer in range(layers)),
        tuple(Wiring((layer,), (layer,), coder.latents) for layer in range(layers)),
        tuple(coders),
        torch.zeros(layers * width),
        "relu",
    )


def build_row(model: Model, tokens: int, number: int = 0) -> Row:
    """A row of so many tokens, all of them a prompt; rows of other numbers are others."""
    from mindscope.models import Row

    size = model.vocab_size
    return Row(tuple((17 + 101 * number + 31 * place) % size for place in range(tokens)), tokens)

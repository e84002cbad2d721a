"""Attribution graphs for tests: random ones, and those that the parity cases' files hold."""

from pathlib import Path

import numpy as np
import torch

from mindscope.circuits import (
    AttentionFindings,
    AttributionGraph,
    AttributionTarget,
    EdgeHeads,
    GraphValidation,
    HeadLoading,
    PredictionAgreement,
)

PARITY = ("llama_plt", "gemma2_clt")
N_LAYERS = 4
AGREEMENT = PredictionAgreement(r=0.9, low=None, high=0.95, sign_agreement=1.0, pairs=2)
FINDINGS = {
    "replacement_name": "some/transcoders",
    "skip_tokens": 2,
    "target_spec": {"kind": "tokens", "tokens": [5, "b"]},
    "attention": AttentionFindings(
        loadings=(
            EdgeHeads(
                source="E_11_0",
                target="5_5_3",
                weight=0.5,
                heads=(HeadLoading(layer=1, head=2, value=-0.25),),
            ),
        )
    ),
    "validation": GraphValidation(
        mode="open",
        factor=0.0,
        changed=("a group",),
        intervention=(0, 0),
        nodes=("5_5_3", "5_7_3"),
        predicted=(1.0, -2.0),
        actual=(0.5, -1.5),
        overall=AGREEMENT,
        features=AGREEMENT,
        targets=AGREEMENT,
        logits=AGREEMENT,
    ),
}
"""What a graph can know besides its tensors."""


def random_graph(seed: int = 0, layers: int = 3, positions: int = 4, features: int = 12) -> AttributionGraph:
    """Edges wherever the order of layers and positions allows one, of normal size."""
    draw = torch.Generator().manual_seed(seed)
    places = torch.cartesian_prod(torch.arange(layers), torch.arange(positions), torch.arange(10))
    chosen = places[torch.randperm(len(places), generator=draw)[:features].sort().values]
    targets = (AttributionTarget('Output "a"', 5, 0.6), AttributionTarget('Output "b"', 7, 0.2))
    rows, sources = features + len(targets), features + layers * positions + positions
    empty = AttributionGraph(
        ids=tuple(range(11, 11 + positions)),
        tokens=tuple(f"t{i}" for i in range(positions)),
        n_layers=layers,
        features=chosen,
        activations=torch.rand(features, generator=draw) + 0.1,
        targets=targets,
        edges=torch.zeros(rows, sources),
        preactivations=torch.randn(rows, generator=draw),
        biases=torch.randn(rows, generator=draw),
        unselected=torch.zeros(rows),
        unselected_absolute=torch.zeros(rows),
        fingerprint="model",
        replacement_digest="neurons",
        metadata={"model": "a model"},
    )
    before = (empty.layers[: empty.n_sources] < empty.layers[empty.rows][:, None]) & (
        empty.positions[: empty.n_sources] <= empty.positions[empty.rows][:, None]
    )
    empty.edges.copy_(torch.where(before, torch.randn(rows, sources, generator=draw), torch.zeros(())))
    return empty


def parity_graph(
    parity: Path, name: str, which: str = "full"
) -> tuple[AttributionGraph, dict[str, np.ndarray]]:
    """The graph in a parity case's expected numbers, and those numbers."""
    expected = dict(np.load(parity / name / f"expected_{which}.npz"))
    features = torch.from_numpy(expected["active_features"][expected["selected_features"]])
    activations = torch.from_numpy(expected["activation_values"][expected["selected_features"]])
    square = torch.from_numpy(expected["adjacency"])
    ids, logits = expected["input_tokens"].tolist(), expected["logit_token_ids"].tolist()
    sources = len(square) - len(logits)
    rows = torch.cat([torch.arange(len(features)), torch.arange(sources, len(square))])
    edges = square[rows, :sources]
    nothing = torch.zeros(len(rows))
    probabilities = expected["logit_probabilities"].tolist()
    text = lambda token: "<bos>" if token == 1 else f"t{token}"  # noqa: E731
    return (
        AttributionGraph(
            ids=tuple(ids),
            tokens=tuple(text(one) for one in ids),
            n_layers=N_LAYERS,
            features=features,
            activations=activations,
            targets=tuple(
                AttributionTarget(f'Output "{text(one)}" (p={p:.3f})', one, p)
                for one, p in zip(logits, probabilities, strict=True)
            ),
            edges=edges,
            preactivations=edges.sum(1),
            biases=nothing,
            unselected=nothing,
            unselected_absolute=nothing,
            fingerprint=name,
            replacement_digest=name,
        ),
        expected,
    )

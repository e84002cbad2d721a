"""What makes tensors no graph: shapes, order of features, targets and edges that cannot be."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool
from torch import Tensor

if TYPE_CHECKING:
    from mindscope.circuits.graph.graph import AttributionGraph

ROWS = ("preactivations", "biases", "unselected", "unselected_absolute")
"""The tensors of a graph with one number per row."""
ROWS_AT_ONCE = 256


def find_fault(graph: "AttributionGraph") -> str | None:
    """What is wrong with a graph, in words that follow "the graph"; None if nothing is."""
    checks: tuple[Callable[[AttributionGraph], str | None], ...] = (
        _wrong_shape,
        _wrong_features,
        _wrong_targets,
        _wrong_edges,
    )
    return next((fault for check in checks if (fault := check(graph)) is not None), None)


def _wrong_shape(graph: "AttributionGraph") -> str | None:
    if not graph.ids or not graph.targets or graph.n_layers < 1:
        return "needs a token, a layer and a target at least"
    if len(graph.tokens) != len(graph.ids):
        return f"has {len(graph.ids)} token ids but {len(graph.tokens)} texts"
    if graph.features.ndim != 2 or graph.features.shape[1] != 3:
        return f"has features of shape {tuple(graph.features.shape)}, [features, 3] is needed"
    n_rows = graph.n_features + len(graph.targets)
    sizes = {
        "activations": (graph.n_features,),
        "edges": (n_rows, graph.n_sources),
        **dict.fromkeys(ROWS, (n_rows,)),
    }
    for name, size in sizes.items():
        tensor: Tensor = getattr(graph, name)
        if tuple(tensor.shape) != size:
            return f"has {name} of shape {tuple(tensor.shape)}, {size} is needed"
        # In parts, as asking takes more room than what is asked about.
        if not all(bool(part.isfinite().all()) for part in tensor.split(ROWS_AT_ONCE)):
            return f"has NaN or infinity among its {name}"
    return None


def _wrong_features(graph: "AttributionGraph") -> str | None:
    layer, position, latent = graph.features.long().unbind(1)
    inside = (layer >= 0) & (layer < graph.n_layers) & (position >= 0) & (position < graph.n_positions)
    if not (inside & (latent >= 0)).all():
        return "has a feature outside its layers and positions"
    # (layer, position, latent) as one number that sorts alike
    width = int(latent.max()) + 1 if len(latent) else 1
    order = (layer * graph.n_positions + position) * width + latent
    if not (order.diff() > 0).all():
        return "has features that repeat or are not sorted by (layer, position, latent)"
    return None


def _wrong_targets(graph: "AttributionGraph") -> str | None:
    for target in graph.targets:
        layer, position = target.layer or 0, target.position or 0
        if not (0 <= layer <= graph.n_layers and 0 <= position < graph.n_positions):
            return f"has the target {target.label!r} outside its layers and positions"
    if not graph.target_weights.isfinite().all():
        return "has a target whose weight is NaN or infinite"
    return None


def _wrong_edges(graph: "AttributionGraph") -> str | None:
    """An edge can only come from a lower layer (or a token), and from the same position or one before."""
    layers, positions = graph.layers[: graph.n_sources], graph.positions[: graph.n_sources]
    # In parts, as the mask of all rows would be as large as the edges.
    for rows in torch.arange(len(graph.rows)).split(ROWS_AT_ONCE):
        nodes = graph.rows[rows]
        wrong: Bool[Tensor, "some sources"] = (layers >= graph.layers[nodes][:, None]) | (
            positions > graph.positions[nodes][:, None]
        )
        cyclic = (wrong & (graph.edges[rows].cpu() != 0)).nonzero()
        if len(cyclic):
            row, source = cyclic[0].tolist()
            return f"has a cycle: {graph.id(int(nodes[row]))} cannot depend on {graph.id(source)}"
    return None

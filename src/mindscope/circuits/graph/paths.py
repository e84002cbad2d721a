"""The strongest paths through a graph from one node to another.

A path's share is the product of the shares that each node has in the next one's inputs, as influence has it
(Ameisen et al. 2025, "Circuit Tracing"). Exact dynamic programming over layers:

1. At the source there is one path, of share 1.
2. Features between source and target come in order of layer, so that all that can lead into a feature is
   known when its turn comes. Keep the `count` strongest paths into it: each is one of the `count` strongest
   into one of its inputs, times the input's share. A weaker one cannot be part of a stronger one further up.
3. Do the same at the target, and follow the choices back.

The total over all paths, however many there are, is the influence that starts at the target and arrives at
the source.
"""

from itertools import pairwise

import torch

from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.influence import propagate_influence
from mindscope.errors import DataError
from mindscope.store.documents import Document


class GraphPath(Document):
    """One path from a source to a target."""

    nodes: tuple[int, ...]
    """Indices of nodes, from the source to the target."""
    share: float
    """The product of the shares that each node has in the next one's inputs: how much of the target's
    influence runs along this path."""
    sign: int
    """+1 or -1, the product of the edges' signs."""


class StrongestPaths(Document):
    """The strongest paths from one node to another."""

    paths: tuple[GraphPath, ...]
    """The strongest first."""
    total: float
    """The share of all paths together."""


def find_paths(graph: AttributionGraph, source: int, target: int, count: int = 10) -> StrongestPaths:
    """The strongest paths from `source` to `target`.

    Args:
        graph: pruned graphs are faster and say the same about what they hold, but for shares of what is left.
        source: a feature, an error or a token.
        target: a feature or a target.
        count: of paths, at most.

    Raises:
        DataError: a node is not in the graph, is of the wrong kind, or `count` is not positive.
    """
    if graph.node(source).kind == "target" or graph.node(target).kind in ("error", "token"):
        raise DataError(
            "a path leads from a feature, an error or a token to a feature or a target: exchange the nodes"
        )
    if count < 1:
        raise DataError(f"count must be at least 1, not {count}")
    # sources x count: the shares of the strongest paths into each node, 0 where there are fewer
    reached = torch.zeros(graph.n_sources, count, dtype=torch.float64)
    reached[source, 0] = 1.0
    # Of each node's paths, input * count + which of the input's paths it goes on from.
    came_from: dict[int, torch.Tensor] = {}
    # Only what lies strictly between the two layers can be on the way; errors and tokens have no inputs.
    between = graph.layers[: graph.n_features]
    above = (between > graph.layers[source]) & (between < graph.layers[target])

    def keep_strongest(node: int) -> list[float]:
        row = graph.row_of[node]
        shares = graph.edges[row].abs().double() / graph.magnitudes[row].double().clamp(min=1e-10)
        candidates = (shares[:, None] * reached).reshape(-1)
        best = candidates.topk(min(count, len(candidates)))
        came_from[node] = best.indices
        return best.values.tolist()

    for node in above.nonzero()[:, 0].tolist():  # features are sorted by layer: what it needs is known
        values = keep_strongest(node)
        reached[node, : len(values)] = torch.tensor(values, dtype=torch.float64)
    paths = [
        _as_path(graph, _follow_back(came_from, source, target, rank, count), share)
        for rank, share in enumerate(keep_strongest(target))
        if share > 0
    ]
    start = torch.zeros(graph.n_nodes)
    start[target] = 1.0
    total = propagate_influence(graph.edges, graph.rows, graph.layers[graph.rows], start, graph.magnitudes)[
        source
    ]
    return StrongestPaths(paths=tuple(paths), total=float(total) if source != target else 0.0)


def _follow_back(
    came_from: dict[int, torch.Tensor], source: int, target: int, rank: int, count: int
) -> tuple[int, ...]:
    """The nodes of the target's path of a rank, followed back to the source."""
    nodes = [target]
    while nodes[-1] != source:
        node, rank = divmod(int(came_from[nodes[-1]][rank]), count)
        nodes.append(node)
    return tuple(reversed(nodes))


def _as_path(graph: AttributionGraph, nodes: tuple[int, ...], share: float) -> GraphPath:
    sign = 1
    for source, target in pairwise(nodes):
        sign *= -1 if graph.edges[graph.row_of[target], source] < 0 else 1
    return GraphPath(nodes=nodes, share=share, sign=sign)

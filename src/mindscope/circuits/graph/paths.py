"""The strongest ways through a graph from one node to another."""

from dataclasses import dataclass
from itertools import pairwise

import torch

from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.influence import propagate_influence
from mindscope.errors import DataError


@dataclass(frozen=True, slots=True)
class GraphPath:
    """One way from a source to a target.

    Attributes:
        nodes: from the source to the target.
        share: the product of the shares that each node has in the next one's inputs: how much of the target's
            influence runs this way.
        sign: +1 or -1, the product of the edges' signs.
    """

    nodes: tuple[int, ...]
    share: float
    sign: int


@dataclass(frozen=True, slots=True)
class StrongestPaths:
    """The strongest ways, and the share of all ways together."""

    paths: tuple[GraphPath, ...]
    total: float


def find_paths(graph: AttributionGraph, source: int, target: int, count: int = 10) -> StrongestPaths:
    """The strongest ways from `source` to `target`, strongest first.

    Exact: at every node, from the bottom up, the `count` strongest ways that lead there are kept, which is
    all that a stronger way further up can be made of.

    Args:
        graph: pruned graphs are faster and say the same about what they hold, but for shares of what is left.
        source: a feature, an error or a token.
        target: a feature or a target.
        count: of ways, at most.

    Raises:
        DataError: a node is not in the graph, is of the wrong kind, or `count` is not positive.
    """
    if graph.node(source).kind == "target" or graph.node(target).kind in ("error", "token"):
        raise DataError("a way leads from a feature, an error or a token to a feature or a target")
    if count < 1:
        raise DataError(f"count must be at least 1, not {count}")
    reached = torch.zeros(graph.n_sources, count, dtype=torch.float64)
    reached[source, 0] = 1.0
    came_from: dict[int, torch.Tensor] = {}
    between = graph.layers[: graph.n_features]
    above = (between > graph.layers[source]) & (between < graph.layers[target])

    def strongest(node: int) -> list[float]:
        row = graph.row_of[node]
        shares = graph.edges[row].abs().double() / graph.magnitudes[row].double().clamp(min=1e-10)
        ways = (shares[:, None] * reached).reshape(-1)
        best = ways.topk(min(count, len(ways)))
        came_from[node] = best.indices
        return best.values.tolist()

    for node in above.nonzero()[:, 0].tolist():  # features are sorted by layer: what it needs is known
        values = strongest(node)
        reached[node, : len(values)] = torch.tensor(values, dtype=torch.float64)
    found = [
        _route(graph, _walk(came_from, source, target, way, count), share)
        for way, share in enumerate(strongest(target))
        if share > 0
    ]
    start = torch.zeros(graph.n_nodes)
    start[target] = 1.0
    total = propagate_influence(graph.edges, graph.rows, graph.layers[graph.rows], start, graph.magnitudes)[
        source
    ]
    return StrongestPaths(tuple(found), float(total) if source != target else 0.0)


def _walk(
    came_from: dict[int, torch.Tensor], source: int, target: int, way: int, count: int
) -> tuple[int, ...]:
    """The nodes of the target's `way`-th strongest way, followed back to the source."""
    nodes = [target]
    while nodes[-1] != source:
        node, way = divmod(int(came_from[nodes[-1]][way]), count)
        nodes.append(node)
    return tuple(reversed(nodes))


def _route(graph: AttributionGraph, nodes: tuple[int, ...], share: float) -> GraphPath:
    sign = 1
    for source, target in pairwise(nodes):
        sign *= -1 if graph.edges[graph.row_of[target], source] < 0 else 1
    return GraphPath(nodes, share, sign)

"""What of a graph is worth looking at: the nodes and edges that carry most of the influence.

Ameisen et al. 2025, "Circuit Tracing", appendix on pruning:

1. Rank nodes by influence on the targets. Keep the most influential until they have the share `node` of all
   of it; keep all tokens and targets.
2. Among the nodes that stay, divide each row by what is left of it, and propagate the targets' weights again.
3. An edge's score is its share of its row, times what passes through the row's node. Keep the highest scores
   until they have the share `edge` of all scores.
4. Take away features without an edge in or out, and errors without one out, until nothing more falls away.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.linalg import vector_norm

from mindscope.circuits.graph.checks import ROWS_AT_ONCE
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.influence import compute_influence, output_weights, propagate_influence
from mindscope.errors import DataError


@dataclass(frozen=True, eq=False)
class PrunedGraph:
    """Which nodes and edges of a graph stay.

    Attributes:
        node_mask: `[nodes]`.
        edge_mask: `[rows, sources]`, as the graph's edges.
        cumulative: `[nodes]`, the share of all influence that a node and those with more of it have together:
            what a threshold on nodes is compared with.
        influence: `[nodes]`.
        node: the share of the influence that nodes keep.
        edge: the share of the scores that edges keep.
    """

    node_mask: Bool[Tensor, "nodes"]
    edge_mask: Bool[Tensor, "rows sources"]
    cumulative: Float[Tensor, "nodes"]
    influence: Float[Tensor, "nodes"]
    node: float
    edge: float

    @property
    def nodes(self) -> list[int]:
        """The nodes that stay, in order."""
        return self.node_mask.nonzero()[:, 0].tolist()

    def graph(self, graph: AttributionGraph) -> AttributionGraph:
        """The graph without what does not stay. Features that go are counted among the unselected ones.

        Errors and tokens keep their places, so that indices of features alone change. Edges that go, from
        errors and tokens too, are added to `unselected`, so that edges, unselected and bias still sum to the
        pre-activation.
        """
        n = graph.n_features
        rows = self.node_mask[graph.rows]
        columns = torch.ones(graph.n_sources, dtype=torch.bool)
        columns[:n] = self.node_mask[:n]
        edges = graph.edges[rows][:, columns]
        edges *= self.edge_mask[rows][:, columns]
        unselected, unselected_absolute = self.sum_unselected(graph)
        return replace(
            graph,
            features=graph.features[columns[:n]],
            activations=graph.activations[columns[:n]],
            edges=edges,
            preactivations=graph.preactivations[rows],
            biases=graph.biases[rows],
            unselected=unselected,
            unselected_absolute=unselected_absolute,
        )

    def sum_unselected(self, graph: AttributionGraph) -> tuple[Float[Tensor, "kept"], Float[Tensor, "kept"]]:
        """Of the rows that stay, the sum of the edges that do not, and of their magnitudes.

        What goes is counted here, so that every row still sums to its pre-activation.
        """
        rows = self.node_mask[graph.rows].nonzero()[:, 0]
        sums, magnitudes = graph.unselected[rows], graph.unselected_absolute[rows]
        # In parts, as what goes takes as much room as the edges.
        for part in torch.arange(len(rows)).split(ROWS_AT_ONCE):
            gone = graph.edges[rows[part]].masked_fill_(self.edge_mask[rows[part]], 0.0)
            sums[part] += gone.sum(1)
            magnitudes[part] += vector_norm(gone, 1, dim=1)
        return sums, magnitudes


def prune_graph(
    graph: AttributionGraph, node: float = 0.8, edge: float = 0.98, unselected: bool = False
) -> PrunedGraph:
    """Keep the nodes, and then the edges between them, that have most of the influence on the targets.

    Nodes with the most influence stay until they have the share `node` of all influence; tokens and targets
    always stay. An edge's score is its share of its target's inputs among what stayed, times the target's
    influence; edges stay until they have the share `edge` of all scores. Features without an edge in or out
    and errors without one out go, until all have one (Ameisen et al. 2025, "Circuit Tracing", appendix).

    Args:
        graph: what is pruned.
        node: share of the influence, above 0 up to 1.
        edge: share of the edges' scores, above 0 up to 1.
        unselected: as :func:`influence`.

    Raises:
        DataError: a share is not in (0, 1].
    """
    for name, share in (("node", node), ("edge", edge)):
        if not 0 < share <= 1:
            raise DataError(f"the share {name} must be above 0 and at most 1, not {share}")
    influence = compute_influence(graph, unselected=unselected)
    node_mask = influence >= _threshold(influence, node)
    node_mask[graph.n_features + graph.n_errors :] = True
    edge_mask = _keep_edges(graph, node_mask, edge)
    _drop_dead_ends(graph, node_mask, edge_mask)
    return PrunedGraph(node_mask, edge_mask, accumulate_influence(influence), influence, node, edge)


def accumulate_influence(influence: Float[Tensor, "nodes"]) -> Float[Tensor, "nodes"]:
    """The share of all influence that each node and those with more of it have together."""
    order = influence.argsort(descending=True, stable=True)
    shares = torch.zeros_like(influence)
    shares[order] = (influence[order].double().cumsum(0) / influence.double().sum().clamp(min=1e-10)).float()
    return shares


def _keep_edges(
    graph: AttributionGraph, nodes: Bool[Tensor, "nodes"], share: float
) -> Bool[Tensor, "rows sources"]:
    """The edges among `nodes` that together have `share` of the scores."""
    rows = nodes[graph.rows].nonzero()[:, 0]
    columns = nodes[: graph.n_sources].nonzero()[:, 0]
    inside = graph.edges[rows][:, columns]
    sums = inside.abs().sum(1)
    explained = graph.rows[rows]  # the node of each row that stays
    # Nodes that stay are numbered afresh for propagation, sources first, so that a source is a column.
    staying = torch.cat([columns, torch.arange(graph.n_sources, graph.n_nodes)])
    number_of = torch.zeros(graph.n_nodes, dtype=torch.long)
    number_of[staying] = torch.arange(len(staying))
    through = propagate_influence(
        inside, number_of[explained], graph.layers[explained], output_weights(graph)[staying], sums
    )
    score = inside.abs() * (through[number_of[explained]] / sums.clamp(min=1e-10))[:, None]
    stays = (score >= _threshold(score[score > 0], share)) & (score > 0)
    mask = torch.zeros(graph.edges.shape, dtype=torch.bool)
    mask[rows[:, None], columns] = stays
    return mask


def _threshold(values: Float[Tensor, "values"], share: float) -> float:
    """The smallest of the largest values that together have `share` of the sum."""
    if not len(values):
        return 0.0
    ordered = values.sort(descending=True).values
    # In float64: millions of small scores are summed.
    cumulative = ordered.double().cumsum(0)
    enough = int(torch.searchsorted(cumulative, share * cumulative[-1]))
    return float(ordered[min(enough, len(ordered) - 1)])


def _drop_dead_ends(
    graph: AttributionGraph, nodes: Bool[Tensor, "nodes"], edges: Bool[Tensor, "rows sources"]
) -> None:
    """Take away, in place, what leads nowhere or comes from nowhere, until nothing is left to take."""
    n, movable = graph.n_features, graph.n_features + graph.n_errors
    while True:
        before = int(nodes.sum())
        # A feature or an error needs a way out; a feature needs a way in too; edges go with their nodes.
        nodes[:movable] &= edges[:, :movable].any(0)
        nodes[:n] &= edges[:n].any(1)
        edges &= nodes[graph.rows][:, None] & nodes[: graph.n_sources]
        if int(nodes.sum()) == before:
            return

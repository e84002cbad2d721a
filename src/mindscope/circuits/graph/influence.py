"""How much each node of a graph has to do with the targets, and how much of the model the graph explains.

Ameisen et al. 2025, "Circuit Tracing", appendix on pruning and section on scores:

1. Forget signs, and divide every row by its sum: Â[target, source] is the share that the source has in what
   goes into the target.
2. Start with the targets' weights w. The influence of a node is what arrives at it along all paths, w (Â + Â²
   + ...).
3. Edges only come from lower layers: a walk from the top layer to the bottom uses every row once, after all
   that arrives at its node has arrived, and sums the whole series.
4. Influence ends in tokens and errors. The replacement score is the share that ends in tokens; the
   completeness score the share of what goes into nodes that is not an error, nodes weighted by their
   influence.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.store.documents import Document


class GraphScores(Document):
    """How much of what leads to the targets runs through features rather than errors, both from 0 to 1."""

    replacement: float
    """Of the influence that ends in tokens or errors, the share that ends in tokens: every path from end to
    end must avoid the errors."""
    completeness: float
    """The share of a node's inputs that are not errors, averaged over all nodes with their influence as
    weights; an error counts for the one node it leads to."""


def propagate_influence(
    edges: Float[Tensor, "rows sources"],
    nodes: Int[Tensor, "rows"],
    layers: Int[Tensor, "rows"],
    start: Float[Tensor, "nodes"],
    sums: Float[Tensor, "rows"],
) -> Float[Tensor, "nodes"]:
    """What starts at nodes, passed down to their sources until it ends: w (1 + Â + Â² + ...).

    Edges only come from lower layers, so the series is finite, and a walk from the top layer to the bottom
    sums all of it while every row is used once.

    Args:
        edges: signed; sources are the first nodes.
        nodes: the node that each row explains.
        layers: of that node.
        start: w, what every node begins with.
        sums: what a row's magnitudes are divided by to give Â.

    Returns:
        What has passed through every node, its own start included.
    """
    total = start.clone()
    shares = torch.zeros_like(sums)
    # From the top. Targets are never a source, so that they may come in any order: a layer's rows are
    # complete in time. The edges are not divided as a whole, which would take as much memory again.
    for layer in layers.unique().flip(0):
        rows = (layers == layer).nonzero()[:, 0]
        shares[rows] = total[nodes[rows]] / sums[rows].clamp(min=1e-10)
        total[: edges.shape[1]] += shares[rows] @ edges[rows].abs()
    return total


def compute_influence(graph: AttributionGraph, *, unselected: bool = False) -> Float[Tensor, "nodes"]:
    """The influence of every node on the targets, weighted by the targets' weights; targets have none.

    B = w (Â + Â² + ...), with Â the magnitudes of the edges, a row summing to one (Ameisen et al. 2025,
    "Circuit Tracing", appendix on pruning).

    Args:
        graph: what is looked at.
        unselected: let active features that the graph leaves out take their share of every row, instead of
            dividing it among the sources that are there.
    """
    start = output_weights(graph)
    return (
        propagate_influence(
            graph.edges, graph.rows, graph.layers[graph.rows], start, _sums(graph, unselected)
        )
        - start
    )


def score_graph(
    graph: AttributionGraph, *, kept: Bool[Tensor, "nodes"] | None = None, unselected: bool = False
) -> GraphScores:
    """The replacement and completeness scores (Ameisen et al. 2025, "Circuit Tracing").

    Args:
        graph: what is scored.
        kept: score what a part of the graph explains: features outside of it count as errors.
        unselected: count active features that the graph leaves out as errors too, which makes the scores
            lower bounds; the public tools do not.
    """
    sums = _sums(graph, unselected)
    # Nodes that explain nothing: influence that arrives there is lost.
    lost = torch.zeros(graph.n_nodes, dtype=torch.bool)
    lost[graph.n_features : graph.n_features + graph.n_errors] = True
    if kept is not None:
        lost[: graph.n_features] = ~kept[: graph.n_features]
    ends = lost[graph.rows]  # nothing passes through a feature that counts as an error
    edges = graph.edges.masked_fill(ends[:, None], 0) if ends.any() else graph.edges
    # nodes: what has passed through each, all paths from the targets taken together
    through = propagate_influence(edges, graph.rows, graph.layers[graph.rows], output_weights(graph), sums)
    shares = torch.where(ends, 0.0, through[graph.rows] / sums.clamp(min=1e-10))
    absent = (shares * graph.unselected_absolute).sum() if unselected else torch.zeros(())
    # What goes into errors, over the influence of all nodes; an error's own inputs count as explained.
    errors = through[lost].sum() + absent
    tokens = through[graph.n_features + graph.n_errors : graph.n_sources].sum()
    return GraphScores(
        replacement=float(tokens / (tokens + errors).clamp(min=1e-10)),
        completeness=float(1 - errors / (through.sum() + absent).clamp(min=1e-10)),
    )


def output_weights(graph: AttributionGraph) -> Float[Tensor, "nodes"]:
    """The targets' weights at their nodes: one that counts against something counts as much as one for it."""
    start = torch.zeros(graph.n_nodes)
    start[graph.n_sources :] = graph.target_weights.abs()
    return start


def _sums(graph: AttributionGraph, unselected: bool) -> Float[Tensor, "rows"]:
    return graph.magnitudes + graph.unselected_absolute if unselected else graph.magnitudes

"""Groups of nodes that stand for one idea, and the graph between the groups."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.errors import DataError
from mindscope.store.documents import Document


class Supernode(Document):
    """Nodes that do the same thing, drawn as one."""

    label: str
    """What they stand for."""
    members: tuple[str, ...]
    """Names of nodes, as `AttributionGraph.id` gives them."""
    score: float | None = None
    """Of an automatic group, how much closer its members are to each other than to the next group, from -1 to
    1 (see :func:`~mindscope.circuits.find_supernodes`); None for one made by hand."""


@dataclass(frozen=True, eq=False)
class GroupedGraph:
    """A graph whose nodes are supernodes and the nodes that belong to none.

    Attributes:
        labels: what each is called; a node on its own by its name.
        members: the nodes of each, as indices of the graph.
        edges: `[groups, groups]` as [target, source]: the sum of the members' signed edges, none within a
            group.
        shares: `[groups, groups]`, the magnitudes of `edges` by the sum of their row.
        activations: `[groups]`, the sum of the members' activations; 0 for what has none.
    """

    labels: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]
    edges: Float[Tensor, "groups groups"]
    shares: Float[Tensor, "groups groups"]
    activations: Float[Tensor, "groups"]


def build_supernode_graph(
    graph: AttributionGraph, supernodes: Sequence[Supernode], nodes: Sequence[int] = ()
) -> GroupedGraph:
    """Replace the members of supernodes by these, summing their edges (Ameisen et al. 2025).

    Args:
        graph: pruned or not; `PrunedGraph.graph` leaves out edges.
        supernodes: a node belongs to one at most.
        nodes: those on their own that are shown beside them (say `pruned.nodes`); members are passed over.

    Raises:
        DataError: a member is not in the graph, or belongs to two.
    """
    groups = [tuple(graph.find(name) for name in supernode.members) for supernode in supernodes]
    taken = [node for members in groups for node in members]
    if (twice := next((node for node in taken if taken.count(node) > 1), None)) is not None:
        raise DataError(f"node {graph.id(twice)} belongs to more than one supernode: keep it in one")
    alone = [(node,) for node in nodes if node not in set(taken)]
    members = (*groups, *alone)
    # groups x nodes; an edge between groups is the sum of the edges between their members
    belongs = torch.zeros(len(members), graph.n_nodes)
    for number, group in enumerate(members):
        belongs[number, list(group)] = 1
    edges = belongs[:, graph.rows] @ graph.edges @ belongs[:, : graph.n_sources].T
    edges.fill_diagonal_(0)
    return GroupedGraph(
        labels=(*(supernode.label for supernode in supernodes), *(graph.id(node) for (node,) in alone)),
        members=members,
        edges=edges,
        shares=edges.abs() / edges.abs().sum(1, keepdim=True).clamp(min=1e-10),
        activations=belongs[:, : graph.n_features] @ graph.activations,
    )

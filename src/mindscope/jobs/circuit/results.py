"""What the jobs of a circuit hand back: a graph in numbers and rows, and what became of changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mindscope.core import Relation
from mindscope.store import BorrowingDocument, Document

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph, PrunedGraph

SHOWN = 60
"""Characters of a node's text in a row."""


class GraphFacts(BorrowingDocument):
    """What a graph is, in numbers; the scores are those of Ameisen et al. 2025.

    Attributes:
        replacement_score: the share of influence that comes from tokens along ways without an error.
        completeness_score: the share of nodes' inputs that are not errors.
        least_replacement_score: the same with active features that the graph leaves out counted as errors.
        least_completeness_score: likewise.
        shown_replacement_score: of what pruning keeps.
        shown_completeness_score: likewise.
    """

    model: str | None
    prompt: str
    tokens: int
    features: int
    active_features: int | None
    shown_nodes: int
    shown_edges: int
    replacement_score: float
    completeness_score: float
    least_replacement_score: float
    least_completeness_score: float
    shown_replacement_score: float
    shown_completeness_score: float


class TargetRow(Document):
    """What a graph explains: its weight among the targets, and its value."""

    target: str
    label: str
    weight: float
    value: float


class NodeRow(Document):
    """A node; None where its kind has no such thing."""

    node: str
    kind: str
    layer: int | None
    token: str
    activation: float | None
    influence: float
    text: str


class NeighbourRow(NodeRow):
    """A node at the other end of an edge, the edge's weight, and its share of all that enters its target."""

    weight: float
    share: float


class NodeNeighbours(Document):
    """The strongest edges into a node and out of it."""

    node: str
    inputs: tuple[NeighbourRow, ...]
    outputs: tuple[NeighbourRow, ...]


class PathRow(Document):
    """A way from one node to another: its nodes in order, and which share of the target's inputs it is."""

    share: float
    sign: int
    nodes: tuple[str, ...]


class NodePaths(Document):
    """The strongest ways between two nodes; `total` is the share of all ways together."""

    paths: tuple[PathRow, ...]
    total: float


class SupernodeRow(Document):
    """A group of nodes; an automatic one has a score, how much closer its members are than the next group."""

    label: str
    score: float | None
    members: tuple[str, ...]


class GraphSummary(GraphFacts):
    """A graph with what it explains and its most influential nodes."""

    targets: tuple[TargetRow, ...]
    nodes: tuple[NodeRow, ...]


class TraceReport(GraphSummary):
    """A graph that was traced, and where it and its page are."""

    run: str
    graph: str
    report: str


class GraphListing(GraphSummary):
    """A graph that is shown; None where it was not asked for."""

    neighbours: tuple[NodeNeighbours, ...] = ()
    paths: NodePaths | None = None
    supernodes: tuple[SupernodeRow, ...] | None = None


class PruneReport(Document):
    """What pruning kept of how much, and the file that holds it."""

    features: int
    features_before: int
    edges: int
    edges_before: int
    bytes: int
    graph: str


class ChangedNode(Document):
    """A node of both graphs, by its name in each, with its influence in each."""

    node: str
    in_the_second: str
    influence: float
    influence_in_the_second: float
    text: str


class ChangedEdge(Document):
    """An edge of both graphs, by the names of the first, with its weight in each."""

    source: str
    target: str
    weight: float
    weight_in_the_second: float


class GraphComparisonReport(Document):
    """What two graphs share and what only one of them has.

    Attributes:
        n_shared: nodes of both; `n_only_first` and `n_only_second` of one alone.
        overlap: shared nodes over all nodes of both.
        changed: the shared nodes whose influence changed, those that changed most first.
        edges: those between shared nodes whose weight changed, likewise.
        relation: how the two models are related; None of graphs of one model.
    """

    relation: Relation | None = None
    n_shared: int
    n_only_first: int
    n_only_second: int
    overlap: float
    changed: tuple[ChangedNode, ...]
    only_first: tuple[NodeRow, ...]
    only_second: tuple[NodeRow, ...]
    edges: tuple[ChangedEdge, ...]


class TokenProbability(Document):
    """A next token, and how probable it is without and with the change."""

    token: str
    before: float
    after: float


class WrittenTexts(Document):
    """What the model writes without and with the change."""

    before: str
    after: str


class InterventionReport(BorrowingDocument):
    """What became of the next token, and of the answer where one was asked for."""

    changes: int
    mode: str
    tokens: tuple[TokenProbability, ...]
    texts: WrittenTexts | None = None


class ExportReport(Document):
    """What was written, and how many groups and labels are in it."""

    written: str
    supernodes: int
    labels: int


def graph_facts(graph: AttributionGraph, pruned: PrunedGraph) -> dict[str, Any]:
    """The fields of `GraphFacts`."""
    from mindscope.circuits import score_graph

    whole, shown = score_graph(graph), score_graph(graph, kept=pruned.node_mask)
    least = score_graph(graph, unselected=True) if bool(graph.unselected_absolute.any()) else whole
    return {
        "borrowed": graph.metadata.get("borrowed", ()),
        "model": graph.metadata.get("model") or graph.metadata.get("scan"),
        "prompt": graph.metadata.get("prompt") or "".join(graph.tokens),
        "tokens": graph.n_positions,
        "features": graph.n_features,
        "active_features": graph.metadata.get("active_features"),
        "shown_nodes": int(pruned.node_mask.sum()),
        "shown_edges": int(pruned.edge_mask.sum()),
        "replacement_score": whole.replacement,
        "completeness_score": whole.completeness,
        "least_replacement_score": least.replacement,
        "least_completeness_score": least.completeness,
        "shown_replacement_score": shown.replacement,
        "shown_completeness_score": shown.completeness,
    }


def graph_summary(
    graph: AttributionGraph, pruned: PrunedGraph, labels: Mapping[str, str], top: int
) -> dict[str, Any]:
    """The fields of `GraphSummary`."""
    return {
        **graph_facts(graph, pruned),
        "targets": list_targets(graph),
        "nodes": list_top_nodes(graph, pruned, labels, top),
    }


def list_targets(graph: AttributionGraph) -> tuple[TargetRow, ...]:
    """The targets, with their weight and value."""
    values = graph.preactivations[graph.n_features :].tolist()
    return tuple(
        TargetRow(
            target=graph.id(graph.n_sources + number), label=target.label, weight=target.weight, value=value
        )
        for number, (target, value) in enumerate(zip(graph.targets, values, strict=True))
    )


def describe_node(
    graph: AttributionGraph, pruned: PrunedGraph, index: int, labels: Mapping[str, str]
) -> NodeRow:
    """A node with its influence, and what people call it."""
    node, name = graph.node(index), graph.id(index)
    target = node.kind == "target"
    text = graph.targets[index - graph.n_sources].label if target else labels.get(name, "")
    return NodeRow(
        node=name,
        kind=node.kind,
        layer=node.layer if node.layer >= 0 else None,
        token=f"{node.position} {graph.tokens[node.position]!r}",
        activation=float(graph.activations[index]) if node.kind == "feature" else None,
        influence=float(pruned.influence[index]),
        text=text[:SHOWN],
    )


def list_top_nodes(
    graph: AttributionGraph, pruned: PrunedGraph, labels: Mapping[str, str], count: int
) -> tuple[NodeRow, ...]:
    """The nodes that stay, the most influential first; targets apart."""
    nodes = [index for index in pruned.nodes if index < graph.n_sources]
    nodes.sort(key=lambda index: -float(pruned.influence[index]))
    return tuple(describe_node(graph, pruned, index, labels) for index in nodes[:count])


def list_neighbours(
    graph: AttributionGraph, pruned: PrunedGraph, index: int, labels: Mapping[str, str], count: int
) -> NodeNeighbours:
    """The strongest edges into a node and out of it, in the whole graph, with their share of their target."""
    row_of = graph.row_of

    def describe(edges: Sequence[tuple[int, int, int]]) -> tuple[NeighbourRow, ...]:
        strongest = sorted(edges, key=lambda edge: -abs(float(graph.edges[edge[1], edge[2]])))[:count]
        return tuple(
            NeighbourRow(
                weight=weight,
                share=abs(weight) / float(graph.magnitudes[row]),
                **describe_node(graph, pruned, other, labels).to_json(),
            )
            for other, row, source in strongest
            if (weight := float(graph.edges[row, source])) != 0
        )

    # (the node at the other end, the edge's row, the edge's column); rows are targets, columns sources
    inputs = [(source, row_of[index], source) for source in range(graph.n_sources)] if index in row_of else []
    outputs = [(node, row, index) for node, row in row_of.items()] if index < graph.n_sources else []
    return NodeNeighbours(node=graph.id(index), inputs=describe(inputs), outputs=describe(outputs))

"""Reading graphs: what is in one, a smaller one, and what two have in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from mindscope.errors import DataError
from mindscope.jobs.circuit.inputs import GraphSpec, OpenedGraph, PruningSpec, open_graph
from mindscope.jobs.circuit.results import (
    ChangedEdge,
    ChangedNode,
    GraphComparisonReport,
    GraphListing,
    NodePaths,
    PathRow,
    PruneReport,
    SupernodeRow,
    describe_node,
    graph_summary,
    list_neighbours,
)
from mindscope.jobs.job import Reporter

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph


class ShowGraphSpec(PruningSpec, GraphSpec):
    """What `show` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("graph",)
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"source": ("--from",), "target": ("--to",)}

    node: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "NAME"})
    """Show what leads to a node and what it leads to, by its name. May be repeated."""
    source: str | None = None
    """Show the strongest ways from this node to --to."""
    target: str | None = None
    """The node that the ways lead to; the first target by default."""
    groups: bool = False
    """Show supernodes: those in the file, or automatic ones if it has none."""
    top: int = Field(default=20, ge=1)
    """The most rows that a table has."""

    @model_validator(mode="after")
    def _require_a_beginning(self) -> ShowGraphSpec:
        if self.target is not None and self.source is None:
            raise DataError("--to needs --from")
        return self


class PruneGraphSpec(PruningSpec, GraphSpec):
    """What `prune` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("graph", "to")

    to: Path
    """The .safetensors file to write."""


class CompareGraphsSpec(PruningSpec):
    """What `compare` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("first", "second")

    first: Path
    """A run of `circuit trace`, its graph.safetensors, or a public graph's .json."""
    second: Path
    """Another one, of the same dictionary, and of the same model or of one that is tuned from it."""
    align: Literal["tokens", "end"] = "tokens"
    """Which tokens stand for each other: like ones (tokens), or those as far from the end (end)."""
    top: int = Field(default=20, ge=1)
    """The most rows that a table has."""


def show(spec: ShowGraphSpec, *, reporter: Reporter) -> GraphListing:
    """Show a graph: scores and most influential nodes; or a node's inputs and outputs, ways, supernodes."""
    del reporter  # there is nothing to wait for
    opened = open_graph(spec.graph, spec.nodes, spec.edges)
    graph, pruned, labels = opened.graph, opened.pruned, opened.view.labels
    return GraphListing(
        **graph_summary(graph, pruned, labels, spec.top),
        neighbours=tuple(
            list_neighbours(graph, pruned, graph.find(name), labels, spec.top) for name in spec.node
        ),
        paths=None if spec.source is None else _list_paths(graph, spec.source, spec.target, spec.top),
        supernodes=_list_supernodes(opened) if spec.groups else None,
    )


def prune(spec: PruneGraphSpec, *, reporter: Reporter) -> PruneReport:
    """Keep the nodes and edges with the most influence, in a smaller file."""
    del reporter  # there is nothing to wait for
    opened = open_graph(spec.graph, spec.nodes, spec.edges)
    small = opened.pruned.graph(opened.graph)
    small.save(spec.to)
    return PruneReport(
        features=small.n_features,
        features_before=opened.graph.n_features,
        edges=_count_edges(small),
        edges_before=_count_edges(opened.graph),
        bytes=spec.to.stat().st_size,
        graph=str(spec.to),
    )


def compare(spec: CompareGraphsSpec, *, reporter: Reporter) -> GraphComparisonReport:
    """Compare two graphs of one dictionary: what both have, what only one has, what changed.

    They are of one model, or of two of which one is tuned from the other.
    """
    from mindscope.circuits import compare_graphs, prune_graph, relate_graphs

    del reporter  # there is nothing to wait for
    opened = [open_graph(path, spec.nodes, spec.edges) for path in (spec.first, spec.second)]
    first, second = (side.pruned.graph(side.graph) for side in opened)
    comparison = compare_graphs(first, second, spec.align)
    whole_first, whole_second = (prune_graph(graph, 1.0, 1.0) for graph in (first, second))
    labels = {**opened[1].view.labels, **opened[0].view.labels}
    is_of_two = first.fingerprint != second.fingerprint
    return GraphComparisonReport(
        relation=relate_graphs(first, second) if is_of_two else None,
        n_shared=len(comparison.shared),
        n_only_first=len(comparison.only_first),
        n_only_second=len(comparison.only_second),
        overlap=comparison.overlap,
        changed=tuple(
            ChangedNode(
                node=first.id(node.first),
                in_the_second=second.id(node.second),
                influence=node.influences[0],
                influence_in_the_second=node.influences[1],
                text=labels.get(first.id(node.first), ""),
            )
            for node in comparison.shared[: spec.top]
            if node.change
        ),
        only_first=tuple(
            describe_node(first, whole_first, index, labels) for index in comparison.only_first[: spec.top]
        ),
        only_second=tuple(
            describe_node(second, whole_second, index, labels) for index in comparison.only_second[: spec.top]
        ),
        edges=tuple(
            ChangedEdge(
                source=first.id(edge.source),
                target=first.id(edge.target),
                weight=edge.weights[0],
                weight_in_the_second=edge.weights[1],
            )
            for edge in comparison.edges[: spec.top]
            if edge.weights[0] != edge.weights[1]
        ),
    )


def _count_edges(graph: AttributionGraph) -> int:
    return int((graph.edges != 0).sum())


def _list_paths(graph: AttributionGraph, source: str, target: str | None, top: int) -> NodePaths:
    from mindscope.circuits import find_paths

    end = graph.n_sources if target is None else graph.find(target)
    strongest = find_paths(graph, graph.find(source), end, top)
    return NodePaths(
        paths=tuple(
            PathRow(share=path.share, sign=path.sign, nodes=tuple(map(graph.id, path.nodes)))
            for path in strongest.paths
        ),
        total=strongest.total,
    )


def _list_supernodes(opened: OpenedGraph) -> tuple[SupernodeRow, ...]:
    from mindscope.circuits import find_supernodes

    groups = opened.view.supernodes or find_supernodes(opened.graph, opened.pruned, labels=opened.view.labels)
    return tuple(
        SupernodeRow(label=group.label, score=group.score, members=group.members) for group in groups
    )

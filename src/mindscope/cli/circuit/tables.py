"""Graphs as tables for people and as JSON: nodes, inputs and outputs, ways, groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph, PrunedGraph

SHOWN = 60
"""Characters of a node's text in a table."""


def facts(graph: AttributionGraph, pruned: PrunedGraph) -> dict[str, Any]:
    """What a graph is, in one line."""
    from mindscope.circuits import score_graph

    whole, shown = score_graph(graph), score_graph(graph, kept=pruned.node_mask)
    lower = score_graph(graph, unselected=True) if bool(graph.unselected_absolute.any()) else whole
    return {
        "model": graph.metadata.get("model") or graph.metadata.get("scan"),
        "prompt": graph.metadata.get("prompt") or "".join(graph.tokens),
        "tokens": graph.n_positions,
        "features": graph.n_features,
        "active_features": graph.metadata.get("active_features"),
        "shown_nodes": int(pruned.node_mask.sum()),
        "shown_edges": int(pruned.edge_mask.sum()),
        "replacement_score": whole.replacement,
        "completeness_score": whole.completeness,
        "least_replacement_score": lower.replacement,
        "least_completeness_score": lower.completeness,
        "shown_replacement_score": shown.replacement,
        "shown_completeness_score": shown.completeness,
    }


def target_rows(graph: AttributionGraph) -> list[dict[str, Any]]:
    """The targets, with their weight and value."""
    values = graph.preactivations[graph.n_features :].tolist()
    return [
        {"target": graph.id(graph.n_sources + i), "label": one.label, "weight": one.weight, "value": value}
        for i, (one, value) in enumerate(zip(graph.targets, values, strict=True))
    ]


def node_row(
    graph: AttributionGraph, pruned: PrunedGraph, index: int, labels: Mapping[str, str]
) -> dict[str, Any]:
    node, name = graph.node(index), graph.id(index)
    feature = node.kind == "feature"
    text = labels.get(name, "")
    if node.kind == "target":
        text = graph.targets[index - graph.n_sources].label
    return {
        "node": name,
        "kind": node.kind,
        "layer": node.layer if node.layer >= 0 else None,
        "token": f"{node.position} {graph.tokens[node.position]!r}",
        "activation": float(graph.activations[index]) if feature else None,
        "influence": float(pruned.influence[index]),
        "text": text[:SHOWN],
    }


def top_nodes(
    graph: AttributionGraph, pruned: PrunedGraph, labels: Mapping[str, str], count: int
) -> list[dict[str, Any]]:
    """The nodes that stay, the most influential first; targets apart."""
    found = [index for index in pruned.nodes if index < graph.n_sources]
    found.sort(key=lambda index: -float(pruned.influence[index]))
    return [node_row(graph, pruned, index, labels) for index in found[:count]]


def neighbours(
    graph: AttributionGraph, pruned: PrunedGraph, index: int, labels: Mapping[str, str], count: int
) -> dict[str, list[dict[str, Any]]]:
    """The strongest edges into a node and out of it, in the whole graph, with their share of their target."""
    row_of = graph.row_of

    def listed(pairs: Sequence[tuple[int, int, int]]) -> list[dict[str, Any]]:
        strongest = sorted(pairs, key=lambda one: -abs(float(graph.edges[one[1], one[2]])))[:count]
        return [
            {"weight": weight, "share": abs(weight) / float(graph.magnitudes[row])}
            | node_row(graph, pruned, other, labels)
            for other, row, source in strongest
            if (weight := float(graph.edges[row, source])) != 0
        ]

    ins = [(s, row_of[index], s) for s in range(graph.n_sources)] if index in row_of else []
    outs = [(node, row, index) for node, row in row_of.items()] if index < graph.n_sources else []
    return {"inputs": listed(ins), "outputs": listed(outs)}


def print_rows(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """A table of rows that have the same keys; nothing where there are none."""
    from mindscope.cli.output import print_table

    if rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows], title)

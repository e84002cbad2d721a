"""Graphs in the public JSON that attribution-graph pages open, and what its fields mean."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.nodes import GraphNode, Kind, vocabulary_of
from mindscope.circuits.graph.prune import PrunedGraph, prune_graph
from mindscope.circuits.graph.supernodes import Supernode
from mindscope.errors import DataError, StoreError
from mindscope.store import plain, read_json, write_json, write_text
from mindscope.store.documents import Document

SCHEMA_VERSION = 1
TYPES: dict[Kind, str] = {
    "feature": "cross layer transcoder",  # what pages call a feature of any kind of transcoder
    "error": "mlp reconstruction error",
    "token": "embedding",
    "target": "logit",
}
INDEX = "graph-metadata.json"
MOST_LINKS = 2_000_000
"""About 200 MB of JSON; browsers fail at opening more."""
SMALLER = 0.95
"""By how much the edges' share is lowered at a time where there are too many of them for a page."""


class GraphView(Document):
    """What a person made of a graph: groups, names, pinned nodes. Nodes by their names."""

    supernodes: tuple[Supernode, ...] = ()
    """The groups."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Names of nodes."""
    pinned: tuple[str, ...] = ()
    """Nodes in the subgraph's panel."""
    others: dict[str, Any] = Field(default_factory=dict)
    """The rest of a page's state, handed through as it is."""


def feature_number(layer: int, latent: int) -> int:
    """The one number that pages give a feature: Cantor's pairing of layer and latent."""
    return (layer + latent) * (layer + latent + 1) // 2 + latent


def prune_for_page(graph: AttributionGraph, pruned: PrunedGraph) -> PrunedGraph:
    """With fewer edges, the strongest, where a page could not open them all; nodes left without any go."""
    share = pruned.edge
    while int(torch.count_nonzero(pruned.edge_mask)) > MOST_LINKS:
        share *= SMALLER
        pruned = prune_graph(graph, pruned.node, share)
    return pruned


def build_graph_json(
    graph: AttributionGraph,
    pruned: PrunedGraph | None = None,
    *,
    slug: str,
    scan: str | None = None,
    view: GraphView | None = None,
) -> dict[str, Any]:
    """The graph as the public document: metadata, qParams, nodes, links.

    Beside these, `mindscope` holds what the public fields leave out (ids, fingerprint, pre-activations), so
    that reading it back loses nothing of the nodes and edges that are written.

    Args:
        graph: the whole graph.
        pruned: what of it is written; the usual pruning if left out.
        slug: a name for the graph, unique in its folder.
        scan: the name of model and dictionary, under which a page looks for features; the graph's own if left
            out.
        view: groups, labels and pinned nodes.

    Raises:
        DataError: more edges stay than a page can open.
    """
    pruned, view = pruned or prune_graph(graph), view or GraphView()
    if (n_links := int(torch.count_nonzero(pruned.edge_mask))) > MOST_LINKS:
        raise DataError(
            f"the graph keeps {n_links:,} edges, no page opens more than {MOST_LINKS:,}: prune it to smaller "
            "shares of nodes and edges"
        )
    names = {index: graph.id(index) for index in pruned.nodes}
    metadata = {
        "slug": slug,
        "scan": scan or str(graph.metadata.get("scan") or graph.metadata.get("model") or "local"),
        "transcoder_list": list(graph.metadata.get("transcoder_list", [])),
        "prompt_tokens": list(graph.tokens),
        "prompt": graph.metadata.get("prompt") or "".join(graph.tokens),
        "node_threshold": pruned.node,
        "schema_version": SCHEMA_VERSION,
        "info": {"generator": {"name": "mindscope", "version": version("mindscope")}},
        "pruning_settings": {"node_threshold": pruned.node, "edge_threshold": pruned.edge},
    }
    return {
        "metadata": metadata,
        "qParams": _page_state(graph, view, names),
        "nodes": [_node(graph, pruned, index, view) for index in names],
        "links": _links(graph, pruned, names),
        "mindscope": _private_values(graph, pruned, names, view),
    }


def write_graph_json(
    folder: Path | str,
    graph: AttributionGraph,
    pruned: PrunedGraph | None = None,
    *,
    slug: str,
    scan: str | None = None,
    view: GraphView | None = None,
    details: Mapping[tuple[int, int], Mapping[str, Any]] | None = None,
) -> Path:
    """Write `SLUG.json` and the folder's `graph-metadata.json`, and features where a page looks for them.

    Args:
        folder: where graphs lie; other graphs' entries in its index stay.
        graph: as :func:`build_graph_json`, like pruned, slug, scan and view.
        pruned: see there.
        slug: see there.
        scan: see there.
        view: see there.
        details: documents of features by (layer, latent), as `explain.feature_json` makes them; written to
            `features/SCAN/NUMBER.json`.

    Raises:
        StoreError: the slug is not a file name, the index is damaged, or the disk refuses.
    """
    folder = Path(folder)
    if not slug or Path(slug).name != slug or slug.startswith("."):
        raise StoreError(f"{slug!r} cannot be a graph's slug: use letters, digits, '-' and '_'")
    document = build_graph_json(graph, pruned, slug=slug, scan=scan, view=view)
    for (layer, latent), detail in (details or {}).items():
        number = feature_number(layer, latent)
        home = folder / "features" / document["metadata"]["scan"].replace("/", "_")
        write_json(home / f"{number}.json", {**detail, "index": number})
    path = folder / f"{slug}.json"
    write_text(path, json.dumps(plain(document), ensure_ascii=False))
    _enter_in_index(folder / INDEX, document["metadata"])
    return path


def _enter_in_index(path: Path, metadata: Mapping[str, Any]) -> None:
    """Put a graph into the folder's index, replacing an older one of that name."""
    index = read_json(path, exact=False) if path.exists() else {"graphs": []}
    graphs = index.get("graphs") if isinstance(index, dict) else None
    if not isinstance(graphs, list) or not all(isinstance(entry, dict) for entry in graphs):
        raise StoreError(f"{path} is not an index of graphs: move it away")
    others = [entry for entry in graphs if entry.get("slug") != metadata["slug"]]
    write_json(path, {**index, "graphs": [*others, metadata]})


def label_key(layer: str | int, feature: int | None, position: int) -> str:
    """What pages call a node in their list of edited labels, out of its public fields; not its node_id."""
    return f"{layer}_{feature}_{position}"


def _page_state(graph: AttributionGraph, view: GraphView, names: Mapping[int, str]) -> dict[str, Any]:
    state = {
        "pinnedIds": list(view.pinned),
        "supernodes": [[group.label, *group.members] for group in view.supernodes],
        "linkType": "both",
        "clickedId": "",
        "sg_pos": "",
        **view.others,
    }
    labels = [
        [label_key(_layer(graph, node := graph.node(index)), _number(node), node.position), view.labels[name]]
        for index, name in names.items()
        if name in view.labels
    ]
    return {**state, "clerps": labels} if labels else state


def _layer(graph: AttributionGraph, node: GraphNode) -> str:
    """The public field `layer`."""
    return {"token": "E", "target": str(graph.n_layers + 1)}.get(node.kind, str(node.layer))


def _node(graph: AttributionGraph, pruned: PrunedGraph, index: int, view: GraphView) -> dict[str, Any]:
    node, name = graph.node(index), graph.id(index)
    target = node.kind == "target"
    label = graph.targets[index - graph.n_sources].label if target else view.labels.get(name, "")
    return {
        "node_id": name,
        "feature": _number(node),
        "layer": _layer(graph, node),
        "ctx_idx": node.position,
        "feature_type": TYPES[node.kind],
        "token_prob": graph.targets[index - graph.n_sources].weight if target else 0.0,
        "is_target_logit": index == graph.n_sources,
        "run_idx": 0,
        "reverse_ctx_idx": 0,
        "jsNodeId": _page_id(node),
        "clerp": label,
        "influence": None if target else float(pruned.cumulative[index]),
        "activation": float(graph.activations[index]) if node.kind == "feature" else None,
    }


def _number(node: GraphNode) -> int:
    """The public field `feature`."""
    if node.kind == "feature":
        return feature_number(node.layer, node.latent or 0)
    if node.kind == "error":
        return -1
    return node.position if node.kind == "token" else vocabulary_of(node)


def _page_id(node: GraphNode) -> str:
    if node.kind == "feature":
        return f"{node.layer}_{node.latent}-0"
    if node.kind == "error":
        return f"{node.layer}_{node.position}-0"
    return (
        f"E_{node.token}-{node.position}"
        if node.kind == "token"
        else f"L_{vocabulary_of(node)}-{node.position}"
    )


def _links(graph: AttributionGraph, pruned: PrunedGraph, names: Mapping[int, str]) -> list[dict[str, Any]]:
    rows, sources = pruned.edge_mask.nonzero(as_tuple=True)
    weights = graph.edges[rows, sources].tolist()
    return [
        {"source": names[source], "target": names[target], "weight": weight}
        for target, source, weight in zip(graph.rows[rows].tolist(), sources.tolist(), weights, strict=True)
    ]


def _private_values(
    graph: AttributionGraph, pruned: PrunedGraph, names: Mapping[int, str], view: GraphView
) -> dict[str, Any]:
    """What the public fields have no place for."""
    # What pruning cut is in the rows' sums, so that a graph that is read back still adds up.
    rows = [index for index in names if index < graph.n_features or index >= graph.n_sources]
    kept = pruned.node_mask[graph.rows]
    unselected, unselected_absolute = pruned.sum_unselected(graph)
    columns = (graph.preactivations[kept], graph.biases[kept], unselected, unselected_absolute)
    return {
        "n_layers": graph.n_layers,
        "ids": list(graph.ids),
        "fingerprint": graph.fingerprint,
        "replacement_digest": graph.replacement_digest,
        "replacement_name": graph.replacement_name,
        "skip_tokens": graph.skip_tokens,
        "target_spec": dict(graph.target_spec),
        "attention": None if graph.attention is None else graph.attention.to_json(),
        "validation": None if graph.validation is None else graph.validation.to_json(),
        # A target's label is in its public node.
        "targets": [
            {
                "layer": target.layer,
                "position": target.position,
                "weight": target.weight,
                "token": target.token,
            }
            for target in graph.targets
        ],
        "rows": {names[index]: [float(column[i]) for column in columns] for i, index in enumerate(rows)},
        "supernode_scores": [group.score for group in view.supernodes],
        "metadata": dict(graph.metadata),
    }

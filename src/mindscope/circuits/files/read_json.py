"""Public graph JSON read back into a graph, whoever wrote it.

1. Check the document's form, and that every kind of node is known.
2. Give every node of the file its index in the graph: features sorted, errors and tokens by layer and
   position, targets in the file's order.
3. Resolve names: an old name of an error can be a feature's too.
4. Fill edges, and what our own files say beside the public fields; of other files, rows sum to what they
   have.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from mindscope.circuits.files.public_form import KINDS, GraphDocument, LinkRecord, NodeRecord
from mindscope.circuits.files.write_json import SCHEMA_VERSION, TYPES, GraphView, label_key
from mindscope.circuits.graph.artifact import from_version_1, parse_findings, parse_target
from mindscope.circuits.graph.findings import AttentionFindings, GraphValidation
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.influence import compute_influence
from mindscope.circuits.graph.nodes import AttributionTarget
from mindscope.circuits.graph.prune import PrunedGraph
from mindscope.circuits.graph.supernodes import Supernode
from mindscope.errors import DataError, StoreError
from mindscope.store import read_json

MOST_LAYERS = 10_000
"""Every layer has an error at every token: a file that says more is damaged, and would fill the memory."""
UNKNOWN = -1
"""The id of a token whose node a file leaves out."""


@dataclass(frozen=True)
class PublicGraph:
    """What a public file holds: the nodes and edges that were written, and what a person made of them.

    Attributes:
        graph: its features and edges alone. A file that was not written by mindscope holds no fingerprint and
            replacement (both ""), and no pre-activations: these are the sums of the edges that are there.
        pruned: what the file has of `graph`: all features, the errors it names, every edge that is not 0.
        view: groups, labels, pinned nodes.
    """

    graph: AttributionGraph
    pruned: PrunedGraph
    view: GraphView


def read_graph_json(path: Path | str) -> PublicGraph:
    """Read a graph in the public JSON, with the new ids of error nodes or the old ones.

    Raises:
        StoreError: one line, for a file that is absent, cut short, of a newer schema, or holds unknown kinds
            of nodes, edges between nodes that are not there, a cycle, or NaN.
    """
    path = Path(path)
    try:
        document = GraphDocument.model_validate(read_json(path, exact=False))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StoreError(f"{path} is not an attribution graph: {place}: {first['msg']}") from None
    version = document.metadata.get("schema_version", SCHEMA_VERSION)
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema version {version!r}, this mindscope reads up to {SCHEMA_VERSION}: "
            "upgrade mindscope"
        )
    for node in document.nodes:
        if node.feature_type not in KINDS:
            raise StoreError(
                f"{path} has a node of the unknown type {node.feature_type!r} ({node.node_id}); "
                f"known are {', '.join(KINDS)}"
            )
    try:
        return _assemble(document)
    except (DataError, ValueError, IndexError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise StoreError(f"{path} cannot be used: {' '.join(str(error).split())[:300]}") from None


def _assemble(document: GraphDocument) -> PublicGraph:
    beside = _private_values(document)
    by_kind = {kind: [node for node in document.nodes if node.kind == kind] for kind in TYPES}
    features = sorted(by_kind["feature"], key=lambda node: (node.level, node.ctx_idx, node.middle))
    logits, tokens = by_kind["target"], [str(token) for token in document.metadata.get("prompt_tokens", [])]
    if not logits or not tokens:
        raise DataError("it has no logit nodes or no prompt_tokens")
    n_layers = int(beside.get("n_layers", logits[0].level - 1))
    if n_layers > MOST_LAYERS:
        raise DataError(f"it says that the model has {n_layers} layers, which no model has")
    n_errors, n_sources = n_layers * len(tokens), len(features) + (n_layers + 1) * len(tokens)
    # 2: of a node in the file (by identity, as names can repeat), its index in the graph
    ids = [UNKNOWN] * len(tokens)
    places: dict[int, int] = {}
    starts = {"error": len(features), "token": len(features) + n_errors}
    for number, node in enumerate(features):
        places[id(node)] = number
    for number, node in enumerate(logits):
        places[id(node)] = n_sources + number
    for node in (*by_kind["error"], *by_kind["token"]):
        if node.ctx_idx >= len(tokens) or not -1 <= node.level < n_layers:
            raise DataError(f"node {node.node_id} lies outside the prompt or the model")
        places[id(node)] = starts[node.kind] + max(node.level, 0) * len(tokens) + node.ctx_idx
        if node.kind == "token":
            ids[node.ctx_idx] = node.middle
    distinct = {
        (node.kind, node.level, node.ctx_idx, node.middle * (node.kind != "error")) for node in document.nodes
    }
    if len(distinct) < len(document.nodes):
        raise DataError("two of its nodes are the same")
    # 3 and 4
    n_rows = len(features) + len(logits)
    edges = torch.zeros(n_rows, n_sources)
    levels = {places[id(node)]: node.level for node in document.nodes}
    names = _index_names(document.nodes, places)
    for target, source, weight in _resolve_links(document.links, names, levels):
        if target >= n_sources:
            row = target - n_sources + len(features)
        elif target < len(features):
            row = target
        else:
            raise DataError(f"an edge leads into an error or a token ({_name(target, names)})")
        if source >= n_sources:
            raise DataError(f"has a cycle: an edge leads out of the target {_name(source, names)}")
        edges[row, source] = weight
    graph = AttributionGraph(
        ids=tuple(beside.get("ids", ids)),
        tokens=tuple(tokens),
        n_layers=n_layers,
        features=torch.tensor([(node.level, node.ctx_idx, node.middle) for node in features])
        .long()
        .reshape(-1, 3),
        activations=torch.tensor([node.activation or 0.0 for node in features]),
        targets=_targets(logits, beside),
        edges=edges,
        **_rows([*features, *logits], edges, beside),
        fingerprint=str(beside.get("fingerprint", "")),
        replacement_digest=str(beside["replacement_digest"]),
        replacement_name=beside["replacement_name"],
        skip_tokens=int(beside["skip_tokens"]),
        target_spec=beside["target_spec"],
        attention=parse_findings(AttentionFindings, beside["attention"]),
        validation=parse_findings(GraphValidation, beside["validation"]),
        metadata=beside["metadata"] or _metadata(document.metadata),
    )
    return PublicGraph(graph, _pruned(graph, document, places), _view(graph, document, names))


def _private_values(document: GraphDocument) -> dict[str, Any]:
    """What our own files hold beside the public fields, in today's form; defaults for other files."""
    beside = document.mindscope
    return dict(beside) if "replacement_digest" in beside else from_version_1(beside)


def _index_names(nodes: Iterable[NodeRecord], places: Mapping[int, int]) -> dict[str, list[int]]:
    """Places by name; an error's old name can be a feature's too, so that one name can have two."""
    names: dict[str, list[int]] = {}
    for node in nodes:
        names.setdefault(node.node_id, []).append(places[id(node)])
    return {name: sorted(meant) for name, meant in names.items()}


def _name(place: int, names: Mapping[str, list[int]]) -> str:
    return next(name for name, meant in names.items() if place in meant)


def _resolve_links(
    links: Iterable[LinkRecord], names: Mapping[str, list[int]], levels: Mapping[int, int]
) -> Iterable[tuple[int, int, float]]:
    """(target, source, weight) of every link. Of a name that means two nodes, the one that is meant.

    Targets are features, so that the doubt is about sources. Files list a target's sources in the order of
    nodes, features before errors: only one of the two stands in order, or the other would be a cycle.
    """
    for name, group in groupby(links, key=lambda link: link.target):
        links_in = list(group)
        for link in links_in:
            if link.target not in names or link.source not in names:
                raise DataError(
                    f"an edge runs between nodes that are not there ({link.source}, {link.target})"
                )
        target = names[name][0]
        sources = [names[link.source] for link in links_in]
        known = [meant[0] for meant in sources if len(meant) == 1]
        in_order = known == sorted(known)
        for i, (link, meant) in enumerate(zip(links_in, sources, strict=True)):
            if len(meant) > 1:
                # Between the sources that are certain before and behind it, and below the target.
                before = (
                    max((node[0] for node in sources[:i] if len(node) == 1), default=-1) if in_order else -1
                )
                after = [node[0] for node in sources[i + 1 :] if len(node) == 1] if in_order else []
                meant = [
                    node
                    for node in meant
                    if levels[node] < levels[target]
                    and before < node
                    and not any(later < node for later in after)
                ]
                # Both are linked, under one name: the feature stands first.
                namesakes = [n for n, other in enumerate(links_in) if other.source == link.source]
                if len(meant) > 1 and len(namesakes) == len(meant):
                    meant = [meant[namesakes.index(i)]]
                if len(meant) != 1:
                    raise DataError(
                        f"its name {link.source} means a feature and an error, and it cannot be told which: "
                        "write it again with a tool that names errors LAYER_-1_POSITION"
                    )
            yield target, meant[0], link.weight


def _targets(logits: Sequence[NodeRecord], beside: Mapping[str, Any]) -> tuple[AttributionTarget, ...]:
    if "targets" in beside:
        return tuple(
            parse_target({"label": node.clerp or "", **target})
            for node, target in zip(logits, beside["targets"], strict=True)
        )
    # A file that does not say how probable its tokens are explains all of them alike.
    known = [node.token_prob for node in logits if node.token_prob is not None]
    weights = known if len(known) == len(logits) else [1 / len(logits)] * len(logits)
    return tuple(
        AttributionTarget(node.clerp or "", node.middle, weight, None, node.ctx_idx)
        for node, weight in zip(logits, weights, strict=True)
    )


def _rows(nodes: Sequence[NodeRecord], edges: Tensor, beside: Mapping[str, Any]) -> dict[str, Tensor]:
    names = ("preactivations", "biases", "unselected", "unselected_absolute")
    if "rows" not in beside:
        nothing = torch.zeros(len(edges))
        return dict(zip(names, (edges.sum(1), nothing, nothing, nothing), strict=True))
    columns = torch.tensor([beside["rows"][node.node_id] for node in nodes]).float().reshape(-1, len(names))
    return dict(zip(names, columns.unbind(1), strict=True))


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What a foreign file says of itself."""
    known = ("slug", "scan", "prompt", "transcoder_list", "generation_settings", "info")
    return {"read_from": "public graph JSON"} | {name: metadata[name] for name in known if name in metadata}


def _pruned(graph: AttributionGraph, document: GraphDocument, places: Mapping[int, int]) -> PrunedGraph:
    mask = torch.zeros(graph.n_nodes, dtype=torch.bool)
    mask[list(places.values())] = True
    cumulative = torch.ones(graph.n_nodes)
    for record in document.nodes:
        if record.influence is not None:
            cumulative[places[id(record)]] = record.influence
    settings = document.metadata.get("pruning_settings") or {}
    node = settings.get("node_threshold", document.metadata.get("node_threshold"))
    edge = settings.get("edge_threshold")
    shares = [1.0 if share is None else float(share) for share in (node, edge)]
    return PrunedGraph(mask, graph.edges != 0, cumulative, compute_influence(graph), *shares)


def _view(graph: AttributionGraph, document: GraphDocument, names: Mapping[str, list[int]]) -> GraphView:
    """The page's state, with today's names of nodes. Groups keep the members that the file has."""
    state = document.qParams

    def rename(old: Iterable[str]) -> tuple[str, ...]:
        return tuple(graph.id(names[name][0]) for name in old if name in names)

    groups = [group for group in state.supernodes or [] if group]
    scores = document.mindscope.get("supernode_scores") or [None] * len(groups)
    edited = dict(state.clerps or [])
    labels = {
        node.node_id: edited.get(label_key(node.layer, node.feature, node.ctx_idx), node.clerp)
        for node in document.nodes
        if node.kind != "target"
    }
    return GraphView(
        supernodes=tuple(
            Supernode(label=label, members=rename(members), score=score)
            for (label, *members), score in zip(groups, scores, strict=True)
        ),
        labels={new: label for name, label in labels.items() if label for new in rename([name])},
        pinned=rename(state.pinnedIds or []),
        others=state.model_extra or {},
    )

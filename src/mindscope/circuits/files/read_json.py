"""Public graph JSON read back into a graph, whoever wrote it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from mindscope.circuits.files.write_json import SCHEMA_VERSION, TYPES, GraphView, label_key
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.influence import compute_influence
from mindscope.circuits.graph.nodes import AttributionTarget, Kind
from mindscope.circuits.graph.prune import PrunedGraph
from mindscope.circuits.graph.supernodes import Supernode
from mindscope.errors import DataError, StoreError
from mindscope.store import read_json

KINDS: dict[str, Kind] = {public: kind for kind, public in TYPES.items()}
UNKNOWN = -1
"""The id of a token whose node a file leaves out."""


@dataclass(frozen=True)
class PublicGraph:
    """What a public file holds: the nodes and edges that were written, and what a person made of them.

    Attributes:
        graph: its features and edges alone. A file that was not written by mindscope holds no fingerprint and
            dictionary (both ""), and no pre-activations: these are the sums of the edges that are there.
        pruned: what the file has of `graph`: all features, the errors it names, every edge that is not 0.
        view: groups, labels, pinned nodes.
    """

    graph: AttributionGraph
    pruned: PrunedGraph
    view: GraphView


class _NodeRecord(BaseModel):
    node_id: str
    layer: str | int
    ctx_idx: int = Field(ge=0)
    feature_type: str
    feature: int | None = None
    token_prob: float | None = 0.0
    clerp: str | None = ""
    influence: float | None = None
    activation: float | None = None

    @property
    def kind(self) -> Kind:
        return KINDS[self.feature_type]

    @property
    def level(self) -> int:
        return -1 if self.kind == "token" else int(self.layer)

    @property
    def middle(self) -> int:
        """The second part of LAYER_LATENT_POSITION or E_TOKEN_POSITION."""
        return int(self.node_id.split("_")[1])


class _LinkRecord(BaseModel):
    source: str
    target: str
    weight: float


class _PageState(BaseModel):
    model_config = ConfigDict(extra="allow")

    pinnedIds: list[str] | None = None  # noqa: N815
    supernodes: list[list[str]] | None = None
    clerps: list[tuple[str, str]] | None = None


class GraphDocument(BaseModel):
    metadata: dict[str, Any]
    qParams: _PageState = _PageState()  # noqa: N815
    nodes: list[_NodeRecord]
    links: list[_LinkRecord]
    mindscope: dict[str, Any] = {}


def read_graph_json(path: Path | str) -> PublicGraph:
    """Read a graph in the public JSON, with the new ids of error nodes or the old ones.

    Raises:
        StoreError: one line, for a file that is absent, cut short, of a newer schema, or holds unknown kinds
            of nodes, edges between nodes that are not there, a cycle, or NaN.
    """
    path = Path(path)
    try:
        document = GraphDocument.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StoreError(f"{path} is no attribution graph: {place}: {first['msg']}") from None
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
        return _assembled(document)
    except (DataError, ValueError, IndexError, TypeError, KeyError) as error:
        raise StoreError(f"{path} cannot be used: {error}") from None


def _assembled(document: GraphDocument) -> PublicGraph:
    beside = document.mindscope
    by_kind = {kind: [one for one in document.nodes if one.kind == kind] for kind in TYPES}
    features = sorted(by_kind["feature"], key=lambda one: (one.level, one.ctx_idx, one.middle))
    logits, tokens = by_kind["target"], [str(one) for one in document.metadata.get("prompt_tokens", [])]
    if not logits or not tokens:
        raise DataError("it has no logit nodes or no prompt_tokens")
    n_layers = int(beside.get("n_layers", logits[0].level - 1))
    n_errors, n_sources = n_layers * len(tokens), len(features) + (n_layers + 1) * len(tokens)
    ids = [UNKNOWN] * len(tokens)
    places: dict[int, int] = {}  # of a node in the file, in the graph
    starts = {"error": len(features), "token": len(features) + n_errors}
    for number, one in enumerate(features):
        places[id(one)] = number
    for number, one in enumerate(logits):
        places[id(one)] = n_sources + number
    for one in (*by_kind["error"], *by_kind["token"]):
        if one.ctx_idx >= len(tokens) or not -1 <= one.level < n_layers:
            raise DataError(f"node {one.node_id} lies outside the prompt or the model")
        places[id(one)] = starts[one.kind] + max(one.level, 0) * len(tokens) + one.ctx_idx
        if one.kind == "token":
            ids[one.ctx_idx] = one.middle
    same = {(one.kind, one.level, one.ctx_idx, one.middle * (one.kind != "error")) for one in document.nodes}
    if len(same) < len(document.nodes):
        raise DataError("two of its nodes are the same")
    n_rows = len(features) + len(logits)
    edges = torch.zeros(n_rows, n_sources)
    levels = {places[id(one)]: one.level for one in document.nodes}
    names = _named(document.nodes, places)
    for target, source, weight in _resolved(document.links, names, levels):
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
        features=torch.tensor([(one.level, one.ctx_idx, one.middle) for one in features])
        .long()
        .reshape(-1, 3),
        activations=torch.tensor([one.activation or 0.0 for one in features]),
        targets=_targets(logits, beside),
        edges=edges,
        **_rows([*features, *logits], edges, beside),
        fingerprint=str(beside.get("fingerprint", "")),
        replacement_digest=str(beside.get("dictionary", "")),
        metadata=beside.get("metadata") or _metadata(document.metadata),
    )
    return PublicGraph(graph, _pruned(graph, document, places), _view(graph, document, names))


def _named(nodes: Iterable[_NodeRecord], places: Mapping[int, int]) -> dict[str, list[int]]:
    """Places by name; an error's old name can be a feature's too, so that one name can have two."""
    names: dict[str, list[int]] = {}
    for one in nodes:
        names.setdefault(one.node_id, []).append(places[id(one)])
    return {name: sorted(found) for name, found in names.items()}


def _name(place: int, names: Mapping[str, list[int]]) -> str:
    return next(name for name, found in names.items() if place in found)


def _resolved(
    links: Iterable[_LinkRecord], names: Mapping[str, list[int]], levels: Mapping[int, int]
) -> Iterable[tuple[int, int, float]]:
    """(target, source, weight) of every link. Of a name that means two nodes, the one that is meant.

    Targets are features, so that the doubt is about sources. Files list a target's sources in the order of
    nodes, features before errors: only one of the two stands in order, or the other would be a cycle.
    """
    for name, group in groupby(links, key=lambda link: link.target):
        some = list(group)
        for link in some:
            if link.target not in names or link.source not in names:
                raise DataError(
                    f"an edge runs between nodes that are not there ({link.source}, {link.target})"
                )
        target = names[name][0]
        sources = [names[link.source] for link in some]
        known = [found[0] for found in sources if len(found) == 1]
        in_order = known == sorted(known)
        for i, (link, found) in enumerate(zip(some, sources, strict=True)):
            if len(found) > 1:
                before = max((one[0] for one in sources[:i] if len(one) == 1), default=-1) if in_order else -1
                after = [one[0] for one in sources[i + 1 :] if len(one) == 1] if in_order else []
                found = [
                    one
                    for one in found
                    if levels[one] < levels[target]
                    and before < one
                    and not any(other < one for other in after)
                ]
                same = [n for n, other in enumerate(some) if other.source == link.source]
                if len(found) > 1 and len(same) == len(found):
                    found = [found[same.index(i)]]
                if len(found) != 1:
                    raise DataError(
                        f"its name {link.source} means a feature and an error, and it cannot be told which: "
                        "write it again with a tool that names errors LAYER_-1_POSITION"
                    )
            yield target, found[0], link.weight


def _targets(logits: Sequence[_NodeRecord], beside: Mapping[str, Any]) -> tuple[AttributionTarget, ...]:
    if "targets" in beside:
        return tuple(
            AttributionTarget(label=node.clerp or "", **one)
            for node, one in zip(logits, beside["targets"], strict=True)
        )
    return tuple(
        AttributionTarget(one.clerp or "", one.middle, one.token_prob or 0.0, None, one.ctx_idx)
        for one in logits
    )


def _rows(nodes: Sequence[_NodeRecord], edges: Tensor, beside: Mapping[str, Any]) -> dict[str, Tensor]:
    names = ("preactivations", "biases", "unselected", "unselected_absolute")
    if "rows" not in beside:
        nothing = torch.zeros(len(edges))
        return dict(zip(names, (edges.sum(1), nothing, nothing, nothing), strict=True))
    columns = torch.tensor([beside["rows"][one.node_id] for one in nodes]).float().reshape(-1, len(names))
    return dict(zip(names, columns.unbind(1), strict=True))


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What a foreign file says of itself."""
    known = ("slug", "scan", "prompt", "transcoder_list", "generation_settings", "info")
    return {"read_from": "public graph JSON"} | {name: metadata[name] for name in known if name in metadata}


def _pruned(graph: AttributionGraph, document: GraphDocument, places: Mapping[int, int]) -> PrunedGraph:
    mask = torch.zeros(graph.n_nodes, dtype=torch.bool)
    mask[list(places.values())] = True
    cumulative = torch.ones(graph.n_nodes)
    for one in document.nodes:
        if one.influence is not None:
            cumulative[places[id(one)]] = one.influence
    settings = document.metadata.get("pruning_settings") or {}
    node = settings.get("node_threshold", document.metadata.get("node_threshold"))
    edge = settings.get("edge_threshold")
    shares = [1.0 if share is None else float(share) for share in (node, edge)]
    return PrunedGraph(mask, graph.edges != 0, cumulative, compute_influence(graph), *shares)


def _view(graph: AttributionGraph, document: GraphDocument, names: Mapping[str, list[int]]) -> GraphView:
    """The page's state, with today's names of nodes. Groups keep the members that the file has."""
    state = document.qParams

    def today(some: Iterable[str]) -> tuple[str, ...]:
        return tuple(graph.id(names[name][0]) for name in some if name in names)

    groups = [one for one in state.supernodes or [] if one]
    scores = document.mindscope.get("supernode_scores") or [None] * len(groups)
    edited = dict(state.clerps or [])
    labels = {
        one.node_id: edited.get(label_key(one.layer, one.feature, one.ctx_idx), one.clerp)
        for one in document.nodes
        if one.kind != "target"
    }
    return GraphView(
        supernodes=tuple(
            Supernode(label, today(members), score)
            for (label, *members), score in zip(groups, scores, strict=True)
        ),
        labels={new: label for name, label in labels.items() if label for new in today([name])},
        pinned=today(state.pinnedIds or []),
        others=state.model_extra or {},
    )

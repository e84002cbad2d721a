"""Two graphs side by side: what both have, what only one of them has, what changed."""

from difflib import SequenceMatcher
from typing import Literal

import torch
from pydantic import ValidationError

from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.influence import compute_influence
from mindscope.core import ModelIdentity, Relation, find_relation
from mindscope.errors import DataError
from mindscope.store.documents import Document

Align = Literal["tokens", "end"]


class SharedNode(Document):
    """A node of both graphs."""

    first: int
    """Its index in the first graph."""
    second: int
    """Its index in the second graph."""
    activations: tuple[float, float] | None
    """In each graph; None for what has no activation."""
    influences: tuple[float, float]
    """In each graph."""

    @property
    def change(self) -> float:
        """Of the influence, from the first graph to the second."""
        return self.influences[1] - self.influences[0]


class SharedEdge(Document):
    """An edge between nodes that both graphs have."""

    source: int
    """Index in the first graph."""
    target: int
    """Index in the first graph."""
    weights: tuple[float, float]
    """In each graph; 0 where it has no such edge."""


class GraphComparison(Document):
    """What two graphs share; nodes as indices of their own graph."""

    positions: tuple[tuple[int, int], ...]
    """Pairs of positions that stand for each other."""
    shared: tuple[SharedNode, ...]
    """Nodes of both, the largest change of influence first."""
    only_first: tuple[int, ...]
    """Nodes of the first alone, the most influential first."""
    only_second: tuple[int, ...]
    """Nodes of the second alone, likewise."""
    edges: tuple[SharedEdge, ...]
    """Edges of either between shared nodes, the largest change first."""

    @property
    def overlap(self) -> float:
        """Shared nodes over all nodes of both (Jaccard)."""
        return len(self.shared) / max(1, len(self.shared) + len(self.only_first) + len(self.only_second))


def compare_graphs(
    first: AttributionGraph, second: AttributionGraph, align: Align = "tokens"
) -> GraphComparison:
    """Match the nodes of two graphs of one dictionary, and of one model or of two that are related.

    Features match by layer, latent and position; errors by layer and position; tokens by position and id;
    targets by token (those without one by label) and position. A node without influence takes no part.

    Args:
        first: a graph, best pruned (`PrunedGraph.graph`), or all that is active counts.
        second: another.
        align: which positions stand for each other: those of equal tokens and of replaced runs of equal
            length ("tokens", so that an inserted word shifts what follows), or those with the same distance
            from the end ("end").

    Raises:
        DataError: they are of different dictionaries, or of models that nothing connects, so that their
            latents have nothing in common.
    """
    relation = relate_graphs(first, second)
    for name in ("replacement_digest", "n_layers", *(() if relation else ("fingerprint",))):
        ours, theirs = getattr(first, name), getattr(second, name)
        if ours != theirs:
            raise DataError(
                f"the graphs have different {name} ({ours!r} and {theirs!r}): trace both with the same "
                "model and dictionary"
            )
    positions = _align_positions(first, second, align)
    # Nodes of the second by what they are matched by; those that are matched are taken out.
    of_second = {_key(second, node, None): node for node in _taking_part(second)}
    first_influence, second_influence = compute_influence(first), compute_influence(second)
    pairs, alone = [], []
    for node in _taking_part(first):
        key = _key(first, node, positions)
        (pairs.append((node, of_second.pop(key))) if key in of_second else alone.append(node))
    shared = [
        SharedNode(
            first=a,
            second=b,
            activations=(float(first.activations[a]), float(second.activations[b]))
            if a < first.n_features
            else None,
            influences=(float(first_influence[a]), float(second_influence[b])),
        )
        for a, b in pairs
    ]
    return GraphComparison(
        positions=tuple(positions.items()),
        shared=tuple(sorted(shared, key=lambda node: -abs(node.change))),
        only_first=tuple(sorted(alone, key=lambda node: -float(first_influence[node]))),
        only_second=tuple(sorted(of_second.values(), key=lambda node: -float(second_influence[node]))),
        edges=_compare_edges(first, second, pairs),
    )


def relate_graphs(first: AttributionGraph, second: AttributionGraph) -> Relation | None:
    """How the models of two graphs are related, by what the graphs say of them; None where nothing says it.

    Either may be tuned from the other, or both from a third. Two graphs of one model have the same weights.
    """
    if first.fingerprint == second.fingerprint:
        return "same weights, other precision"
    known = [_identity_of(graph) for graph in (first, second)]
    one, other = known
    if one is None or other is None:
        return None
    pairs = [(one, other), (other, one)]
    if one.base is not None and other.base is not None:
        pairs += [(one, other.base), (other, one.base)]
    relations: list[Relation] = [find_relation(model, maker) for model, maker in pairs]
    return next((relation for relation in relations if relation != "as stated"), None)


def _identity_of(graph: AttributionGraph) -> ModelIdentity | None:
    try:
        identity = ModelIdentity.model_validate(graph.metadata.get("identity"))
    except ValidationError:
        return None  # an earlier version, or another tool
    return identity if identity.fingerprint == graph.fingerprint else None


def _align_positions(first: AttributionGraph, second: AttributionGraph, align: Align) -> dict[int, int]:
    if align == "end":
        n, m = first.n_positions, second.n_positions
        return {n - back: m - back for back in range(min(n, m), 0, -1)}
    # A run of tokens that another of equal length replaces is matched one to one ("Dallas" and "Oakland").
    pairs: dict[int, int] = {}
    blocks = SequenceMatcher(None, first.ids, second.ids, autojunk=False).get_opcodes()
    for kind, a, a_end, b, b_end in blocks:
        if kind == "equal" or (kind == "replace" and a_end - a == b_end - b):
            pairs.update(zip(range(a, a_end), range(b, b_end), strict=True))
    return pairs


def _taking_part(graph: AttributionGraph) -> list[int]:
    taking_part = compute_influence(graph) > 0
    taking_part[graph.n_sources :] = True
    return taking_part.nonzero()[:, 0].tolist()


def _key(graph: AttributionGraph, index: int, positions: dict[int, int] | None) -> tuple[object, ...] | None:
    """What a node is matched by, at the second graph's position; None if that has no such position."""
    node = graph.node(index)
    position = node.position if positions is None else positions.get(node.position)
    if position is None:
        return None
    if node.kind != "target":
        return node.kind, node.layer, position, node.latent, node.token
    return (
        node.kind,
        node.layer,
        position,
        node.token,
        graph.targets[node.latent or 0].label * (node.token is None),
    )


def _compare_edges(
    first: AttributionGraph, second: AttributionGraph, pairs: list[tuple[int, int]]
) -> tuple[SharedEdge, ...]:
    a, b = (torch.tensor(side).long() for side in ([x for x, _ in pairs], [y for _, y in pairs]))
    # shared x shared, as [target, source], in the same order on both sides
    ours, theirs = first.adjacency(a), second.adjacency(b)
    target, source = ((ours != 0) | (theirs != 0)).nonzero(as_tuple=True)
    before, after = ours[target, source], theirs[target, source]
    order = (before - after).abs().argsort(descending=True)
    columns = (a[source][order], a[target][order], before[order], after[order])
    return tuple(
        SharedEdge(source=start, target=end, weights=(old, new))
        for start, end, old, new in zip(*(column.tolist() for column in columns), strict=True)
    )

"""Two graphs side by side: what both have, what one has alone, what changed."""

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

import torch

from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.influence import compute_influence
from mindscope.errors import DataError

Align = Literal["tokens", "end"]


@dataclass(frozen=True, slots=True)
class SharedNode:
    """A node of both graphs, with its activation (None for what has none) and its influence in each."""

    first: int
    second: int
    activations: tuple[float, float] | None
    influences: tuple[float, float]

    @property
    def change(self) -> float:
        """Of the influence, from the first graph to the second."""
        return self.influences[1] - self.influences[0]


@dataclass(frozen=True, slots=True)
class SharedEdge:
    """An edge between nodes that both graphs have: names in the first graph, the weight in each."""

    source: int
    target: int
    weights: tuple[float, float]


@dataclass(frozen=True)
class GraphComparison:
    """What two graphs share; nodes as indices of their own graph.

    Attributes:
        positions: pairs of positions that stand for each other.
        shared: nodes of both, the largest change of influence first.
        only_first: nodes of the first alone, the most influential first.
        only_second: nodes of the second alone.
        edges: edges of either between shared nodes, the largest change first; 0 where one has none.
    """

    positions: tuple[tuple[int, int], ...]
    shared: tuple[SharedNode, ...]
    only_first: tuple[int, ...]
    only_second: tuple[int, ...]
    edges: tuple[SharedEdge, ...]

    @property
    def overlap(self) -> float:
        """Shared nodes over all nodes of both (Jaccard)."""
        return len(self.shared) / max(1, len(self.shared) + len(self.only_first) + len(self.only_second))


def compare_graphs(
    first: AttributionGraph, second: AttributionGraph, align: Align = "tokens"
) -> GraphComparison:
    """Match the nodes of two graphs of one model and one dictionary.

    Features match by layer, latent and position; errors by layer and position; tokens by position and id;
    targets by token (those without one by label) and position. A node without influence takes no part.

    Args:
        first: a graph, best pruned (`PrunedGraph.graph`), or all that is active counts.
        second: another.
        align: which positions stand for each other: those of equal tokens and of replaced runs of equal
            length ("tokens", so that an inserted word shifts what follows), or those with the same distance
            from the end ("end").

    Raises:
        DataError: they are of different models or dictionaries, so that their latents have nothing in common.
    """
    for name in ("fingerprint", "replacement_digest", "n_layers"):
        one, other = getattr(first, name), getattr(second, name)
        if one != other:
            raise DataError(
                f"the graphs have different {name} ({one!r} and {other!r}): trace both with the same "
                "model and dictionary"
            )
    positions = _aligned(first, second, align)
    of_second = {_key(second, node, None): node for node in _taking_part(second)}
    shared_first, shared_second = compute_influence(first), compute_influence(second)
    pairs, alone = [], []
    for node in _taking_part(first):
        key = _key(first, node, positions)
        (pairs.append((node, of_second.pop(key))) if key in of_second else alone.append(node))
    shared = [
        SharedNode(
            a,
            b,
            (float(first.activations[a]), float(second.activations[b])) if a < first.n_features else None,
            (float(shared_first[a]), float(shared_second[b])),
        )
        for a, b in pairs
    ]
    return GraphComparison(
        positions=tuple(positions.items()),
        shared=tuple(sorted(shared, key=lambda one: -abs(one.change))),
        only_first=tuple(sorted(alone, key=lambda node: -float(shared_first[node]))),
        only_second=tuple(sorted(of_second.values(), key=lambda node: -float(shared_second[node]))),
        edges=_edges(first, second, pairs),
    )


def _aligned(first: AttributionGraph, second: AttributionGraph, align: Align) -> dict[int, int]:
    if align == "end":
        n, m = first.n_positions, second.n_positions
        return {n - back: m - back for back in range(min(n, m), 0, -1)}
    pairs: dict[int, int] = {}
    blocks = SequenceMatcher(None, first.ids, second.ids, autojunk=False).get_opcodes()
    for kind, a, a_end, b, b_end in blocks:
        if kind == "equal" or (kind == "replace" and a_end - a == b_end - b):
            pairs.update(zip(range(a, a_end), range(b, b_end), strict=True))
    return pairs


def _taking_part(graph: AttributionGraph) -> list[int]:
    found = compute_influence(graph) > 0
    found[graph.n_sources :] = True
    return found.nonzero()[:, 0].tolist()


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


def _edges(
    first: AttributionGraph, second: AttributionGraph, pairs: list[tuple[int, int]]
) -> tuple[SharedEdge, ...]:
    a, b = (torch.tensor(side).long() for side in ([x for x, _ in pairs], [y for _, y in pairs]))
    one, other = first.adjacency(a), second.adjacency(b)
    target, source = ((one != 0) | (other != 0)).nonzero(as_tuple=True)
    before, after = one[target, source], other[target, source]
    order = (before - after).abs().argsort(descending=True)
    columns = (a[source][order], a[target][order], before[order], after[order])
    return tuple(
        SharedEdge(start, end, (weight, there))
        for start, end, weight, there in zip(*(column.tolist() for column in columns), strict=True)
    )

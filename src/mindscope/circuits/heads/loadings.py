"""Which attention heads carry the edges of a graph.

Between its source and its target an edge passes every layer's attention, through one of its heads or beside
all of them (Kamath et al. 2025, "Tracing Attention Computation Through Feature Interactions", head loadings):

1. Build the graph's local replacement model again, and pick the edges.
2. Sweep the targets' gradients down once (`attribution/backward.py`). At each layer keep what they are at the
   mixed values of its heads.
3. Let what the sources write go up once. At each layer, mix its values as the heads do.
4. The product of the two, head by head, is what the head carries of the edge from that source to that target:
   the sum over all paths that pass this head here, whatever they do in other layers.
5. Check that the edges, read on the way up, are the graph's.

No head is swept on its own: one product per layer serves all heads, sources and targets (`meeting`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.circuits.attribution.retrace import inject_graph_rows, rebuild_local_model
from mindscope.circuits.attribution.targets import TargetSpec
from mindscope.circuits.attribution.trace import split_into_blocks
from mindscope.circuits.graph.findings import AttentionFindings, EdgeHeads, HeadLoading, QKScore
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.influence import compute_influence, output_weights
from mindscope.circuits.heads import meeting
from mindscope.circuits.heads.meeting import EdgeCarriers, SourceWrites, carry_edges
from mindscope.circuits.index_spaces import GraphRow, GraphSource
from mindscope.circuits.replacement.local_model import ReplacementModel
from mindscope.core import Progress
from mindscope.errors import DataError
from mindscope.models import Model

SAME = 1e-3
"""How far an edge may be from the graph's, relative to the largest, before the graph is refused."""


@dataclass(frozen=True, eq=False)
class HeadLoadings:
    """What each head carries of edges of a graph, in the units of the edges.

    The loading of head h of layer l in an edge is the part of the edge that passes this head: the sum over
    all paths of the replacement model from the source to the target that move through head h in layer l, and
    any way they can in other layers. At each layer an edge passes through one head or beside all of them (in
    the residual stream, or in a dictionary's skip), so that

        loadings[e, l].sum() + beside()[e, l] = weights[e].

    A path that moves through heads of several layers counts for each of them: loadings do not sum over
    layers. Where a single layer's attention lies between the tokens of source and target, that layer's
    loadings sum to the edge. Kamath et al. 2025 put features behind every layer, so that each edge of theirs
    is of that kind.

    Attributes:
        edges: source and target of each, as the graph names its nodes.
        weights: `[edges]`.
        loadings: `[edges, layers, heads]`; 0 in layers that are not between source and target.
    """

    edges: tuple[tuple[str, str], ...]
    weights: Float[Tensor, "edges"]
    loadings: Float[Tensor, "edges layers heads"]

    def beside(self) -> Float[Tensor, "edges layers"]:
        """The part of each edge that passes a layer through none of its heads."""
        return self.weights[:, None] - self.loadings.sum(2)

    def strongest(self, edge: int, top: int = 5) -> list[HeadLoading]:
        """The heads that carry most of an edge, by magnitude; fewer where fewer carry anything."""
        flat = self.loadings[edge].flatten()
        heads = self.loadings.shape[2]
        order = flat.abs().argsort(descending=True, stable=True)[:top].tolist()
        return [
            HeadLoading(layer=index // heads, head=index % heads, value=float(flat[index]))
            for index in order
            if flat[index] != 0
        ]

    def summarise(self, top: int = 5) -> tuple[EdgeHeads, ...]:
        """The strongest heads of each edge, as a graph and its page keep them."""
        rows = zip(self.edges, self.weights.tolist(), strict=True)
        return tuple(
            EdgeHeads(source=source, target=target, weight=weight, heads=tuple(self.strongest(edge, top)))
            for edge, ((source, target), weight) in enumerate(rows)
        )


def compute_head_loadings(
    model: Model,
    replacement: ReplacementModel,
    graph: AttributionGraph,
    edges: int | Sequence[tuple[str, str]] | None = None,
    *,
    into: Sequence[str] | None = None,
    targets: TargetSpec | None = None,
    progress: Progress | None = None,
) -> HeadLoadings:
    """What each head carries of edges of a graph.

    Args:
        model: the model that was traced.
        replacement: that it was traced with.
        graph: pruned or not.
        edges: which, as (source, target); or how many of the strongest, by what they carry of the influence
            on the graph's targets; None for all.
        into: names of features and targets, where only edges into them are meant.
        targets: what the graph was traced with; needed for directions alone.
        progress: called with (targets done, in all, what).

    Raises:
        DataError: the graph is of another model or replacement, an edge is not in it, or `targets` are not
            the graph's.
    """
    # 1: edges as (row, source) of the graph; each row and each source is carried once, whatever its edges
    rows, sources = _choose_edges(graph, edges, into)
    local_model = rebuild_local_model(model, replacement, graph)
    with torch.inference_mode():
        end_rows, target = rows.unique(return_inverse=True)
        start_sources, source = sources.unique(return_inverse=True)
        device = local_model.embeddings.device
        injections = inject_graph_rows(model, local_model, graph, end_rows, targets)
        writes = SourceWrites(local_model, graph, start_sources.to(device))
        heads = max(block.mixing.kv_heads * block.mixing.group for block in local_model.blocks)
        carried = EdgeCarriers(
            target.to(device),
            source.to(device),
            weights=torch.zeros(len(rows), device=device),
            loadings=torch.zeros(len(rows), local_model.n_layers, heads, device=device),
        )
        # 2 to 4: gradients of all layers are kept, so that fewer rows fit than in a trace
        done = 0
        memory = meeting.MEMORY // local_model.n_layers
        for block in split_into_blocks(local_model, injections.position, memory):
            carry_edges(local_model, injections, block, writes, carried)
            done += len(block)
            if progress is not None:
                progress(done, len(end_rows), "finding heads")
    # 5: the same edges as the graph's
    weights = graph.edges[rows, sources]
    off = float((carried.weights.cpu() - weights).abs().max()) if len(rows) else 0.0
    if not off <= SAME * float(graph.edges.abs().max()):
        raise DataError(
            f"edges of the graph are {off:.1e} off what they are in this model: it was traced with another "
            "replacement or other settings; trace it again"
        )
    starts = [graph.id(node) for node in start_sources.tolist()]
    ends = [graph.id(node) for node in graph.rows[end_rows].tolist()]
    pairs = zip(source.tolist(), target.tolist(), strict=True)
    return HeadLoadings(
        tuple((starts[start], ends[end]) for start, end in pairs), weights, carried.loadings.cpu()
    )


def with_attention(
    graph: AttributionGraph, loadings: Sequence[EdgeHeads] = (), scores: Sequence[QKScore] = ()
) -> AttributionGraph:
    """The graph with what is known of its heads, which is saved with it and shown on its page.

    What the graph knew of other edges and scores stays.

    Args:
        graph: of the same prompt.
        loadings: of its edges, as `HeadLoadings.summarise` gives them.
        scores: of its heads, as `QKAttribution.summarise` gives them.
    """
    newer = AttentionFindings(loadings=tuple(loadings), scores=tuple(scores))
    return replace(graph, attention=(graph.attention or AttentionFindings()).merge(newer))


def _choose_edges(
    graph: AttributionGraph, edges: int | Sequence[tuple[str, str]] | None, into: Sequence[str] | None
) -> tuple[GraphRow, GraphSource]:
    """The rows and columns of the edges that are meant."""
    if edges is not None and not isinstance(edges, int):
        return _named_edges(graph, edges)
    meant = graph.edges != 0
    if into is not None:
        if lost := [name for name in into if graph.find(name) not in graph.row_of]:
            raise DataError(f"nothing leads to {lost[0]}: name features or targets")
        ends = torch.zeros(len(graph.rows), dtype=torch.bool)
        ends[[graph.row_of[graph.find(name)] for name in into]] = True
        meant &= ends[:, None]
    rows, sources = meant.nonzero(as_tuple=True)
    if edges is None:
        return rows, sources
    if edges < 1:
        raise DataError(f"{edges} edges are too few: 1 or more")
    # What an edge carries of the influence: its share of its row, times what passes through the row's node.
    through = compute_influence(graph) + output_weights(graph)
    carried = graph.row_normalised()[rows, sources] * through[graph.rows[rows]]
    best = carried.argsort(descending=True, stable=True)[:edges]
    return rows[best], sources[best]


def _named_edges(
    graph: AttributionGraph, edges: Sequence[tuple[str, str]]
) -> tuple[Int[Tensor, "edges"], Int[Tensor, "edges"]]:
    pairs = []
    for source, target in edges:
        row, column = graph.row_of.get(graph.find(target)), graph.find(source)
        if row is None or column >= graph.n_sources or graph.edges[row, column] == 0:
            raise DataError(f"the graph has no edge from {source} to {target}")
        pairs.append((row, column))
    rows, sources = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(1)
    return rows, sources

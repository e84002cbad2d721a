"""Which attention heads carry the edges of a graph."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.circuits.attribution.backward import backward_rows
from mindscope.circuits.attribution.retrace import inject_graph_rows, match_features, rebuild_local_model
from mindscope.circuits.attribution.targets import TargetSpec
from mindscope.circuits.attribution.trace import split_into_blocks
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.influence import compute_influence, output_weights
from mindscope.circuits.replacement.local_model import Injections, LocalReplacementModel, ReplacementModel
from mindscope.errors import DataError
from mindscope.models import Model

Progress = Callable[[int, int, str], None]
MEMORY = 2**28
"""How many bytes the gradients of a block of targets may take, over all layers."""
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
    loadings sum to the edge. Kamath et al. 2025 ("Tracing Attention Computation Through Feature
    Interactions") put features behind every layer, so that each edge of theirs is of that kind.

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

    def strongest(self, edge: int, top: int = 5) -> list[tuple[int, int, float]]:
        """The heads that carry most of an edge, by magnitude: layer, head, loading."""
        flat = self.loadings[edge].flatten()
        heads = self.loadings.shape[2]
        order = flat.abs().argsort(descending=True, stable=True)[:top].tolist()
        return [(at // heads, at % heads, float(flat[at])) for at in order if flat[at] != 0]

    def to_json(self, top: int = 5) -> list[dict[str, Any]]:
        """For the metadata of a graph, and for its page: the strongest heads of each edge."""
        return [
            {
                "source": source,
                "target": target,
                "weight": float(weight),
                "heads": [
                    {"layer": layer, "head": head, "value": value}
                    for layer, head, value in self.strongest(at, top)
                ],
            }
            for at, ((source, target), weight) in enumerate(
                zip(self.edges, self.weights.tolist(), strict=True)
            )
        ]


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

    Gradients go down from the targets once, and what the sources write goes up once; at each layer's
    attention they meet, and one product a head gives what it carries between all of them. No head is swept
    on its own.

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
    rows, sources = _chosen(graph, edges, into)
    frozen = rebuild_local_model(model, replacement, graph)
    with torch.inference_mode():
        ends, end = rows.unique(return_inverse=True)
        starts, start = sources.unique(return_inverse=True)
        device = frozen.embeddings.device
        seeds = inject_graph_rows(model, frozen, graph, ends, targets)
        begin = _SourceWrites(frozen, graph, starts.to(device))
        heads = max(one.pattern.shape[:2].numel() for one in frozen.blocks)
        found = torch.zeros(len(rows), frozen.n_layers, heads, device=device)
        again = torch.zeros(len(rows), device=device)
        done = 0
        for block in split_into_blocks(frozen, seeds.position, MEMORY // frozen.n_layers):
            _carry(frozen, seeds, block, begin, (end.to(device), start.to(device)), found, again)
            done += len(block)
            if progress is not None:
                progress(done, len(ends), "finding heads")
    weights = graph.edges[rows, sources]
    off = float((again.cpu() - weights).abs().max()) if len(rows) else 0.0
    if not off <= SAME * float(graph.edges.abs().max()):
        raise DataError(
            f"edges of the graph are {off:.1e} off what they are in this model: it was traced with another "
            "replacement or other settings; trace it again"
        )
    names = [graph.id(source) for source in starts.tolist()]
    explained = [graph.id(node) for node in graph.rows[ends].tolist()]
    pairs = zip(start.tolist(), end.tolist(), strict=True)
    return HeadLoadings(tuple((names[i], explained[j]) for i, j in pairs), weights, found.cpu())


def _chosen(
    graph: AttributionGraph, edges: int | Sequence[tuple[str, str]] | None, into: Sequence[str] | None
) -> tuple[Int[Tensor, "edges"], Int[Tensor, "edges"]]:
    """The rows and columns of the edges that are meant."""
    row_of = {node: row for row, node in enumerate(graph.rows.tolist())}
    if edges is not None and not isinstance(edges, int):
        pairs = []
        for source, target in edges:
            row, column = row_of.get(graph.find(target)), graph.find(source)
            if row is None or column >= graph.n_sources or graph.edges[row, column] == 0:
                raise DataError(f"the graph has no edge from {source} to {target}")
            pairs.append((row, column))
        found = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2)
        return found[:, 0], found[:, 1]
    meant = graph.edges != 0
    if into is not None:
        if lost := [name for name in into if graph.find(name) not in row_of]:
            raise DataError(f"nothing leads to {lost[0]}: name features or targets")
        mine = torch.zeros(len(graph.rows), dtype=torch.bool)
        mine[[row_of[graph.find(name)] for name in into]] = True
        meant &= mine[:, None]
    rows, sources = meant.nonzero(as_tuple=True)
    if edges is None:
        return rows, sources
    if edges < 1:
        raise DataError(f"{edges} edges are too few: 1 or more")
    through = compute_influence(graph) + output_weights(graph)
    carried = graph.row_normalised()[rows, sources] * through[graph.rows[rows]]
    best = carried.argsort(descending=True, stable=True)[:edges]
    return rows[best], sources[best]


class _SourceWrites:
    """What some sources of a graph write into the stream, and where."""

    def __init__(
        self, local_model: LocalReplacementModel, graph: AttributionGraph, which: Int[Tensor, "sources"]
    ):
        self._frozen = local_model
        self.position = graph.positions.to(which.device)[which]
        layer = graph.layers.to(which.device)[which]
        feature, error = which < graph.n_features, which < graph.n_features + graph.n_errors
        self._column = torch.full_like(which, -1)
        self._column[feature] = local_model.column_of[match_features(local_model, graph)[which[feature]]]
        self._error_of = torch.where(error & ~feature, layer, -2)
        self._token = ~error

    def writing(
        self, which: Int[Tensor, "sources"], tokens: int
    ) -> Callable[[int], Float[Tensor, "sources tokens d_model"] | float]:
        """What enters the stream at each point, as `LocalReplacementModel.streams` asks for it."""
        frozen, position = self._frozen, self.position[which]
        width = frozen.embeddings.shape[1]

        def at(rows: Tensor, vectors: Tensor) -> Tensor:
            found = frozen.embeddings.new_zeros(len(which), tokens, width)
            found[rows, position[rows]] = vectors
            return found

        def entering(join: int) -> Tensor | float:
            if join == 0:
                rows = self._token[which].nonzero().flatten()
                return at(rows, frozen.embeddings[position[rows]])
            if join % 2:
                return 0.0
            layer = join // 2 - 1
            errors = (self._error_of[which] == layer).nonzero().flatten()
            features, written = frozen.feature_writes[layer].vectors_of(self._column[which])
            if not len(errors) + len(features):
                return 0.0
            vectors = torch.cat([frozen.errors[layer, position[errors]], written])
            return at(torch.cat([errors, features]), vectors)

        return entering


def _carry(
    local_model: LocalReplacementModel,
    injections: Injections,
    block: Int[Tensor, "targets"],
    sources: _SourceWrites,
    edges: tuple[Int[Tensor, "edges"], Int[Tensor, "edges"]],
    loadings: Float[Tensor, "edges layers heads"],
    weights: Float[Tensor, "edges"],
) -> None:
    """Fill in what belongs to the edges into a block of targets.

    Args:
        frozen: the local replacement model.
        seeds: of all targets.
        block: which of them.
        sources: all sources.
        edges: target and source of each edge, by their numbers.
        loadings: to be filled in.
        weights: to be filled in: the edges as they are here.
    """
    gradients: dict[int, Tensor] = {}
    mine = injections[block]
    line = backward_rows(
        local_model,
        mine,
        watch=lambda layer, r: gradients.update({layer: local_model.blocks[layer].backward_to_heads(r)}),
    ).order.argsort()
    tokens, last = int(mine.position.max()) + 1, int(mine.point.max())
    number = torch.full((len(injections),), -1, device=block.device)
    number[block] = torch.arange(len(block), device=block.device)
    in_block = (number[edges[0]] >= 0).nonzero().flatten()
    starts = edges[1][in_block].unique()
    for some in split_into_blocks(local_model, sources.position[starts], MEMORY):
        which = starts[some]
        place = torch.full((len(sources.position),), -1, device=block.device)
        place[which] = torch.arange(len(which), device=block.device)
        edge = in_block[place[edges[1][in_block]] >= 0]
        end, start = number[edges[0][edge]], place[edges[1][edge]]
        for join, x in local_model.walk_stream(sources.writing(which, tokens)):
            here = (mine.point[end] == join).nonzero().flatten()
            at = end[here]
            weights[edge[here]] = (mine.vector[at] * x[start[here], mine.position[at]]).sum(1)
            layer = join // 2
            if join % 2 == 0 and layer in gradients:
                z, mixed = gradients[layer], local_model.blocks[layer].mix_values(x)
                joined, heads = len(z), z.shape[2] * z.shape[3]
                z = z.permute(2, 3, 0, 1, 4).reshape(heads, joined, -1)
                both = z @ mixed.permute(1, 2, 3, 4, 0).reshape(heads, -1, len(which))
                below = (line[end] < joined).nonzero().flatten()  # the others are read below this attention
                loadings[edge[below], layer, :heads] = both[:, line[end[below]], start[below]].T
            if join == last:
                break

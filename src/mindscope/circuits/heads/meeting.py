"""Where gradients on their way down meet what sources write on its way up: at every layer's attention."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.circuits.attribution.backward import backward_rows
from mindscope.circuits.attribution.retrace import match_features
from mindscope.circuits.attribution.trace import split_into_blocks
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.index_spaces import GraphSource, StreamPoint
from mindscope.circuits.replacement.injections import Injections
from mindscope.circuits.replacement.local_model import LocalReplacementModel

MEMORY = 2**28
"""How many bytes the gradients of a block of targets may take, over all layers."""


@dataclass(frozen=True, eq=False)
class EdgeCarriers:
    """Edges of a graph, and what is filled in for each: its weight, and what each head carries of it.

    Attributes:
        target: `[edges]`, which of the injections each edge ends at.
        source: `[edges]`, which of the sources it begins at.
        weights: `[edges]`, the edges as they are in this model.
        loadings: `[edges, layers, heads]`.
    """

    target: Int[Tensor, "edges"]
    source: Int[Tensor, "edges"]
    weights: Float[Tensor, "edges"]
    loadings: Float[Tensor, "edges layers heads"]


class SourceWrites:
    """What some sources of a graph write into the stream, and where."""

    def __init__(self, local_model: LocalReplacementModel, graph: AttributionGraph, sources: GraphSource):
        self._local_model = local_model
        self.position = graph.positions.to(sources.device)[sources]
        layer = graph.layers.to(sources.device)[sources]
        is_feature, is_node = sources < graph.n_features, sources < graph.n_features + graph.n_errors
        # Each source is one of three kinds; what the other kinds would need is marked as absent.
        self._column = torch.full_like(sources, -1)
        matched = match_features(local_model, graph)
        self._column[is_feature] = local_model.column_of[matched[sources[is_feature]]]
        # -1 is a token's layer: no error has -2.
        self._error_layer = torch.where(is_node & ~is_feature, layer, -2)
        self._is_token = ~is_node

    def writer(
        self, sources: Int[Tensor, "some"], tokens: int
    ) -> Callable[[StreamPoint], Float[Tensor, "some tokens d_model"] | float]:
        """What some of the sources write before each point, as `LocalReplacementModel.walk_stream` asks for
        it.

        Args:
            sources: a row of the stream each.
            tokens: how many first tokens are followed.
        """
        model, position = self._local_model, self.position[sources]

        def place(rows: Tensor, vectors: Tensor) -> Tensor:
            """Streams of zeros, but for a vector at each row's own token."""
            stream = model.embeddings.new_zeros(len(sources), tokens, model.embeddings.shape[1])
            stream[rows, position[rows]] = vectors
            return stream

        def write(point: StreamPoint) -> Tensor | float:
            if point == StreamPoint(0):
                rows = self._is_token[sources].nonzero().flatten()
                return place(rows, model.embeddings[position[rows]])
            if point.after_attention:
                return 0.0
            layer = point.layer - 1  # whose MLP lies right before this point
            errors = (self._error_layer[sources] == layer).nonzero().flatten()
            features, vectors = model.feature_writes[layer].vectors_of(self._column[sources])
            if not len(errors) + len(features):
                return 0.0
            return place(
                torch.cat([errors, features]), torch.cat([model.errors[layer, position[errors]], vectors])
            )

        return write


def carry_edges(
    local_model: LocalReplacementModel,
    injections: Injections,
    block: Int[Tensor, "targets"],
    sources: SourceWrites,
    edges: EdgeCarriers,
) -> None:
    """Fill in what belongs to the edges into a block of targets.

    Args:
        local_model: the local replacement model.
        injections: of all targets.
        block: which of them.
        sources: all sources.
        edges: to be filled in.
    """
    # Down: at each layer, the targets' gradients at what its heads have mixed, [begun, tokens, kv, group,
    # size].
    at_heads: dict[int, Tensor] = {}
    targets = injections[block]
    row_of_target = backward_rows(
        local_model,
        targets,
        on_layer=lambda layer, r: at_heads.update({layer: local_model.blocks[layer].backward_to_heads(r)}),
    ).order.argsort()
    n_tokens, last = int(targets.position.max()) + 1, int(targets.point.max())
    in_block = _numbered(block, len(injections))
    edges_in_block = (in_block[edges.target] >= 0).nonzero().flatten()
    starts = edges.source[edges_in_block].unique()
    # Up: as many sources at a time as fit, each in a stream of its own.
    for part in split_into_blocks(local_model, sources.position[starts], MEMORY):
        rows = starts[part]
        in_part = _numbered(rows, len(sources.position))
        edge = edges_in_block[in_part[edges.source[edges_in_block]] >= 0]
        target, source = in_block[edges.target[edge]], in_part[edges.source[edge]]
        row = row_of_target[target]
        for point, x in local_model.walk_stream(sources.writer(rows, n_tokens)):
            # The edge itself, where its target reads: compared with the graph's in the end.
            read = (targets.point[target] == point.number).nonzero().flatten()
            vectors, positions = targets.vector[target[read]], targets.position[target[read]]
            edges.weights[edge[read]] = (vectors * x[source[read], positions]).sum(1)
            if not point.after_attention and point.layer in at_heads:
                both = _meet(at_heads[point.layer], local_model.blocks[point.layer].mix_values(x))
                # Rows that had not begun at this layer read below its attention: nothing of them passes it.
                through = (row < both.shape[1]).nonzero().flatten()
                carried = both[:, row[through], source[through]]
                edges.loadings[edge[through], point.layer, : len(both)] = carried.T
            if point.number == last:
                break


def _meet(
    gradients: Float[Tensor, "begun tokens kv_heads group size"],
    mixed: Float[Tensor, "sources kv_heads group tokens size"],
) -> Float[Tensor, "heads begun sources"]:
    """Per head, each target's gradient times each source's mixed values, over tokens and size."""
    begun, heads = len(gradients), gradients.shape[2] * gradients.shape[3]
    down = gradients.permute(2, 3, 0, 1, 4).reshape(heads, begun, -1)
    up = mixed.permute(1, 2, 3, 4, 0).reshape(heads, -1, len(mixed))
    return down @ up


def _numbered(chosen: Int[Tensor, "chosen"], count: int) -> Int[Tensor, "all"]:
    """Of each of `count` things, its place among the chosen ones, or -1."""
    places = torch.full((count,), -1, device=chosen.device)
    places[chosen] = torch.arange(len(chosen), device=chosen.device)
    return places

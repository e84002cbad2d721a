"""Rows of an attribution graph, by one sweep from the top layer to the bottom, without autograd.

A row's edges are A[target, source] = g · w: w is what the source writes into the stream (activation times
decoder), g the gradient of what the target reads, carried down to where the source writes (Ameisen et al.
2025, "Circuit Tracing", section "Attribution graphs"). All rows of a block go down together, as a tensor r of
gradients [rows, tokens, d_model]:

1. Sort rows by the point of the stream at which they begin, the highest first, so that the rows that have
   begun are always the first m.
2. At a layer's MLP output, contract: r times what features write there gives the columns of these features,
   position by position; r times the layer's error vectors gives the errors' columns, and times its biases the
   rows' biases. A gradient that a skip takes along leaves for the MLP input at which that skip begins.
3. At the layer's MLP input, gradients from skips come back, and rows that read there join.
4. At attention, add what the transposed OV paths carry to earlier tokens (`FrozenBlock.carry_backward`). This
   is the only step that mixes tokens, and only towards earlier ones. Until its first attention a row is zero
   but for the token that it reads at, and one product per head carries it (`carry_backward_from`).
5. Rows that read before the block join. Go on with the next lower layer.
6. At the bottom, r times the embeddings gives the tokens' columns.

MLPs need no step of their own, because features and errors are constants of the prompt. So the work for a row
is its matrix products with attention, and memory does not grow with the number of layers: nothing is kept for
a backward pass. Rows at one position only need the tokens before it, whence `p` below and blocks of rows at
neighbouring positions (`trace.split_into_blocks`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.circuits.index_spaces import BlockRow, StreamPoint
from mindscope.circuits.replacement.injections import Injections
from mindscope.circuits.replacement.local_model import LocalReplacementModel


@dataclass(frozen=True, slots=True, eq=False)
class EdgeBlock:
    """Direct effects on some rows, of all sources at the first `tokens` positions: none lie behind.

    Rows come by falling point of the stream, which is by falling layer.

    Attributes:
        order: `[rows]`, which of the rows that were asked for stands here.
        features: `[rows, columns]`, columns as `LocalReplacementModel.column_of` has them.
        errors: `[rows, layers, tokens]`.
        tokens: `[rows, tokens]`.
        bias: `[rows]`, what comes from no node.
    """

    order: BlockRow
    features: Float[Tensor, "rows columns"]
    errors: Float[Tensor, "rows layers tokens"]
    tokens: Float[Tensor, "rows tokens"]
    bias: Float[Tensor, "rows"]


def backward_rows(
    local_model: LocalReplacementModel,
    injections: Injections,
    row_of: BlockRow | None = None,
    on_layer: Callable[[int, Tensor], None] | None = None,
) -> EdgeBlock:
    """The edges into rows from every source, and their biases.

    Args:
        local_model: the local replacement model.
        injections: where the rows begin; best of neighbouring positions, since all are carried at the tokens
            up to the last one's.
        row_of: which row each injection is of, where a row is the sum of several; they begin at one point.
        on_layer: called at each layer, from the top, with the gradients behind its attention
            `[rows begun so far, tokens, d_model]`, in the order of `EdgeBlock.order`.
    """
    sweep = _BackwardSweep(local_model, injections, row_of, on_layer)
    sweep.begin_rows(StreamPoint(local_model.n_layers))
    for layer in range(local_model.n_layers - 1, -1, -1):
        sweep.pass_layer(layer)
    return sweep.finish()


class _BackwardSweep:
    """The state of one sweep: gradients on their way down, and the edges so far."""

    def __init__(
        self,
        local_model: LocalReplacementModel,
        injections: Injections,
        row_of: BlockRow | None,
        on_layer: Callable[[int, Tensor], None] | None,
    ):
        self._model, self._on_layer = local_model, on_layer
        row_of = torch.arange(len(injections), device=injections.point.device) if row_of is None else row_of
        n, p = int(row_of.max()) + 1, int(injections.position.max()) + 1
        # 1: rows by falling point, and injections likewise, each with the place of its row
        point = injections.point.new_zeros(n).scatter(0, row_of, injections.point)
        self._order = point.argsort(descending=True, stable=True)
        place = self._order.argsort()[row_of]
        by_point = injections.point.argsort(descending=True, stable=True)
        self._injections, self._place = injections[by_point], place[by_point]
        self._begin_at = torch.bincount(
            injections.point, minlength=StreamPoint(local_model.n_layers).number + 1
        ).tolist()
        self._begun, self._n_begun = 0, 0  # injections that are in the stream, and rows
        # Rows that have been through an attention come first; the others lie at one token, if they are not
        # a sum over several.
        self._n_spread, self._at_one_token = 0, len(injections) == n
        like = local_model.embeddings
        self._gradients = like.new_zeros(n, p, like.shape[1])
        # Features at later positions than any row's cannot be reached: their columns come last.
        columns = int((local_model.features[:, 1] < p).sum())
        self._features = like.new_zeros(n, columns)
        self._errors = like.new_zeros(n, local_model.n_layers, p)
        self._bias = like.new_zeros(n).index_add(0, place, injections.bias)
        # Gradients inside skips, by the layer whose MLP input they go to: [rows begun when they left, ...].
        self._in_skips: dict[int, Tensor] = {}

    def begin_rows(self, point: StreamPoint) -> None:
        """Put the gradients of the rows that begin at a point into the stream."""
        if count := self._begin_at[point.number]:
            new = slice(self._begun, self._begun + count)
            rows, positions = self._place[new], self._injections.position[new]
            self._gradients.index_put_((rows, positions), self._injections.vector[new], accumulate=True)
            self._n_begun, self._begun = int(self._place[new].max()) + 1, self._begun + count

    def pass_layer(self, layer: int) -> None:
        """Carry all rows from behind a layer to before it."""
        model, block, m = self._model, self._model.blocks[layer], self._n_begun
        # 2: what is written at the MLP's output
        if m:
            r = self._gradients[:m]
            _contract_features(model, layer, r, self._features[:m])
            # rows tokens d_model, times two vectors per token: one reading of r for both
            constants = torch.stack([model.errors[layer], model.biases[layer]], 2)[: r.shape[1]]
            products = torch.bmm(r.transpose(0, 1), constants)  # tokens x rows x 2
            self._errors[:m, layer] = products[..., 0].T
            self._bias[:m] += products[..., 1].sum(0)
            self._send_down_skips(layer, r)
        # 3: the MLP's input, which lies behind attention, or beside it in a parallel block
        from_skips = None
        if layer in self._in_skips:
            from_skips = model.read_norms[layer].backward(self._in_skips.pop(layer))
        if from_skips is not None and not model.parallel:
            self._gradients[: len(from_skips)] += from_skips
        self.begin_rows(StreamPoint(layer, after_attention=True))
        # 4: attention
        if m := self._n_begun:
            r = self._gradients[:m]
            if self._on_layer is not None:
                self._on_layer(layer, r)
            if isinstance(block.bias, Tensor):
                self._bias[:m] += _dot(r, block.bias)
            spread = self._n_spread if self._at_one_token else m
            if spread:
                block.carry_backward(r[:spread])
            if spread < m:
                block.carry_backward_from(r[spread:], self._injections.position[spread:m])
            self._n_spread = m
        if from_skips is not None and model.parallel:
            self._gradients[: len(from_skips)] += from_skips
        # 5: rows that read before the block
        self.begin_rows(StreamPoint(layer))

    def finish(self) -> EdgeBlock:
        """The edges, those of the tokens included."""
        tokens = _dot_by_token(self._gradients, self._model.embeddings)
        return EdgeBlock(self._order, self._features, self._errors, tokens, self._bias)

    def _send_down_skips(self, layer: int, r: Tensor) -> None:
        """Send gradients at a layer's MLP output down the skips that end there."""
        sources = [
            source for source, active in enumerate(self._model.layer_features) if layer in active.skips
        ]
        if not sources:
            return
        behind_norm = self._model.write_norms[layer].backward(r)
        for source in sources:
            sent = behind_norm @ self._model.layer_features[source].skips[layer].T
            # More rows have begun since the last were sent there: they are the first of these.
            if source in self._in_skips:
                sent[: len(self._in_skips[source])] += self._in_skips[source]
            self._in_skips[source] = sent


def _contract_features(
    local_model: LocalReplacementModel,
    layer: int,
    r: Float[Tensor, "rows tokens d_model"],
    features: Float[Tensor, "rows columns"],
) -> None:
    """Add what the features that write at a layer give to the rows, in place."""
    writes = local_model.feature_writes[layer]
    for position in range(r.shape[1]):
        if writes.starts[position] == writes.starts[position + 1]:
            continue
        columns, vectors = writes.columns_at(position), writes.vectors_at(position)
        if isinstance(columns, slice):
            # Columns side by side are added to where they lie, without a copy.
            into = features[:, columns]
            torch.addmm(into, r[:, position], vectors.T, out=into)
        else:
            features[:, columns] += r[:, position] @ vectors.T


def _dot(r: Float[Tensor, "rows tokens d"], vectors: Float[Tensor, "all d"]) -> Float[Tensor, "rows"]:
    """Each row's gradient times vectors, over all tokens."""
    return r.flatten(1) @ vectors[: r.shape[1]].flatten()


def _dot_by_token(
    r: Float[Tensor, "rows tokens d"], vectors: Float[Tensor, "all d"]
) -> Float[Tensor, "rows tokens"]:
    """Each row's gradient at a token times that token's vector."""
    return torch.einsum("npd,pd->np", r, vectors[: r.shape[1]])

"""Attribution rows by one sweep from the top layer down, without autograd.

Rows are gradients in the residual stream. They join at their own layer and position, are contracted at each
MLP output with what is written there, position by position, and go on through attention alone. All rows of a
block share the matrix products; memory does not grow with the number of layers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.circuits.replacement.local_model import Injections, LocalReplacementModel


@dataclass(frozen=True, slots=True, eq=False)
class EdgeBlock:
    """Direct effects on some rows, of all sources at the first `tokens` positions: there are no others.

    Rows come by falling `join`, which is by falling layer.

    Attributes:
        order: `[rows]`, which of the rows asked for each one is.
        features: `[rows, features there]`, by `LocalReplacementModel.column`.
        errors: `[rows, layers, tokens]`.
        tokens: `[rows, tokens]`.
        bias: `[rows]`, what comes from no node.
    """

    order: Int[Tensor, "rows"]
    features: Float[Tensor, "rows columns"]
    errors: Float[Tensor, "rows layers tokens"]
    tokens: Float[Tensor, "rows tokens"]
    bias: Float[Tensor, "rows"]


def backward_rows(
    local_model: LocalReplacementModel,
    injections: Injections,
    row: Int[Tensor, "seeds"] | None = None,
    watch: Callable[[int, Tensor], None] | None = None,
) -> EdgeBlock:
    """The edges into rows from every source, and their biases.

    Args:
        frozen: the local replacement model.
        seeds: the rows; best of neighbouring positions, since all are carried to the last one's.
        row: which row each seed is of, where a row is the sum of several; they join at one point.
        watch: called at each layer, from the top, with the gradients behind its attention
            `[rows joined so far, tokens, d_model]`, in the order of `EdgeBlock.order`.

    """
    row = torch.arange(len(injections), device=injections.point.device) if row is None else row
    n, p = int(row.max()) + 1, int(injections.position.max()) + 1
    order = (
        injections.point.new_zeros(n).scatter(0, row, injections.point).argsort(descending=True, stable=True)
    )
    line = order.argsort()[row]
    by_join = injections.point.argsort(descending=True, stable=True)
    injections, line = injections[by_join], line[by_join]
    joining = torch.bincount(injections.point, minlength=2 * local_model.n_layers + 1).tolist()
    like = local_model.embeddings
    r = like.new_zeros(n, p, like.shape[1])
    columns = int((local_model.features[:, 1] < p).sum())
    features, errors = like.new_zeros(n, columns), like.new_zeros(n, local_model.n_layers, p)
    bias = like.new_zeros(n).index_add(0, line, injections.bias)
    waiting: dict[int, Tensor] = {}
    m = taken = 0

    def join(at: int) -> None:
        nonlocal m, taken
        if count := joining[at]:
            new = slice(taken, taken + count)
            r.index_put_((line[new], injections.position[new]), injections.vector[new], accumulate=True)
            m, taken = int(line[new].max()) + 1, taken + count

    join(2 * local_model.n_layers)
    for layer in range(local_model.n_layers - 1, -1, -1):
        block, now = local_model.blocks[layer], r[:m]
        if m:
            _contract(local_model, layer, now, features[:m])
            errors[:m, layer] = _dots(now, local_model.errors[layer])
            bias[:m] += _dot(now, local_model.biases[layer])
            _send(local_model, layer, now, waiting)
        beside = local_model.read_norms[layer].backward(waiting.pop(layer)) if layer in waiting else None
        if beside is not None and not local_model.parallel:
            r[: len(beside)] += beside
        join(2 * layer + 1)
        if m:
            now = r[:m]
            if watch is not None:
                watch(layer, now)
            if isinstance(block.bias, Tensor):
                bias[:m] += _dot(now, block.bias)
            now += block.attend_backward(now)
        if beside is not None and local_model.parallel:
            r[: len(beside)] += beside
        join(2 * layer)
    tokens = _dots(r, local_model.embeddings)
    return EdgeBlock(order, features, errors, tokens, bias)


def _contract(local_model: LocalReplacementModel, layer: int, r: Tensor, features: Tensor) -> None:
    """Add what the features that write at a layer give to the rows."""
    written = local_model.feature_writes[layer]
    for position in range(r.shape[1]):
        if written.starts[position] == written.starts[position + 1]:
            continue
        columns, vectors = written.columns_at(position), written.vectors_at(position)
        if isinstance(columns, slice):
            here = features[:, columns]
            torch.addmm(here, r[:, position], vectors.T, out=here)
        else:
            features[:, columns] += r[:, position] @ vectors.T


def _send(local_model: LocalReplacementModel, layer: int, r: Tensor, waiting: dict[int, Tensor]) -> None:
    """Send gradients at a layer's MLP output down the skips that end there, to the layers they begin at."""
    sources = [at for at, code in enumerate(local_model.layer_features) if layer in code.skips]
    if not sources:
        return
    behind = local_model.write_norms[layer].backward(r)
    for at in sources:
        sent = behind @ local_model.layer_features[at].skips[layer].T
        if at in waiting:
            sent[: len(waiting[at])] += waiting[at]
        waiting[at] = sent


def _dot(r: Float[Tensor, "rows tokens d"], vectors: Float[Tensor, "all d"]) -> Float[Tensor, "rows"]:
    """Each row's gradient times vectors, over all tokens."""
    return r.flatten(1) @ vectors[: r.shape[1]].flatten()


def _dots(r: Float[Tensor, "rows tokens d"], vectors: Float[Tensor, "all d"]) -> Float[Tensor, "rows tokens"]:
    """Each row's gradient at a token times that token's vector."""
    return torch.einsum("npd,pd->np", r, vectors[: r.shape[1]])

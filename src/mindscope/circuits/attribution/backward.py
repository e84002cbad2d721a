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

from mindscope.circuits.replacement.local_model import Frozen, Seeds


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Direct effects on some rows, of all sources at the first `tokens` positions: there are no others.

    Rows come by falling `join`, which is by falling layer.

    Attributes:
        order: `[rows]`, which of the rows asked for each one is.
        features: `[rows, features there]`, by `Frozen.column`.
        errors: `[rows, layers, tokens]`.
        tokens: `[rows, tokens]`.
        bias: `[rows]`, what comes from no node.
    """

    order: Int[Tensor, "rows"]
    features: Float[Tensor, "rows columns"]
    errors: Float[Tensor, "rows layers tokens"]
    tokens: Float[Tensor, "rows tokens"]
    bias: Float[Tensor, "rows"]


def sweep(
    frozen: Frozen,
    seeds: Seeds,
    row: Int[Tensor, "seeds"] | None = None,
    watch: Callable[[int, Tensor], None] | None = None,
) -> Edges:
    """The edges into rows from every source, and their biases.

    Args:
        frozen: the local replacement model.
        seeds: the rows; best of neighbouring positions, since all are carried to the last one's.
        row: which row each seed is of, where a row is the sum of several; they join at one point.
        watch: called at each layer, from the top, with the gradients behind its attention
            `[rows joined so far, tokens, d_model]`, in the order of `Edges.order`.

    """
    row = torch.arange(len(seeds), device=seeds.join.device) if row is None else row
    n, p = int(row.max()) + 1, int(seeds.position.max()) + 1
    order = seeds.join.new_zeros(n).scatter(0, row, seeds.join).argsort(descending=True, stable=True)
    line = order.argsort()[row]
    by_join = seeds.join.argsort(descending=True, stable=True)
    seeds, line = seeds[by_join], line[by_join]
    joining = torch.bincount(seeds.join, minlength=2 * frozen.n_layers + 1).tolist()
    like = frozen.embeddings
    r = like.new_zeros(n, p, like.shape[1])
    columns = int((frozen.features[:, 1] < p).sum())
    features, errors = like.new_zeros(n, columns), like.new_zeros(n, frozen.n_layers, p)
    bias = like.new_zeros(n).index_add(0, line, seeds.bias)
    waiting: dict[int, Tensor] = {}
    m = taken = 0

    def join(at: int) -> None:
        nonlocal m, taken
        if count := joining[at]:
            new = slice(taken, taken + count)
            r.index_put_((line[new], seeds.position[new]), seeds.vector[new], accumulate=True)
            m, taken = int(line[new].max()) + 1, taken + count

    join(2 * frozen.n_layers)
    for layer in range(frozen.n_layers - 1, -1, -1):
        block, now = frozen.blocks[layer], r[:m]
        if m:
            _contract(frozen, layer, now, features[:m])
            errors[:m, layer] = _dots(now, frozen.errors[layer])
            bias[:m] += _dot(now, frozen.biases[layer])
            _send(frozen, layer, now, waiting)
        beside = frozen.reads[layer].back(waiting.pop(layer)) if layer in waiting else None
        if beside is not None and not frozen.parallel:
            r[: len(beside)] += beside
        join(2 * layer + 1)
        if m:
            now = r[:m]
            if watch is not None:
                watch(layer, now)
            if isinstance(block.bias, Tensor):
                bias[:m] += _dot(now, block.bias)
            now += block.attend_back(now)
        if beside is not None and frozen.parallel:
            r[: len(beside)] += beside
        join(2 * layer)
    tokens = _dots(r, frozen.embeddings)
    return Edges(order, features, errors, tokens, bias)


def _contract(frozen: Frozen, layer: int, r: Tensor, features: Tensor) -> None:
    """Add what the features that write at a layer give to the rows."""
    written = frozen.written[layer]
    for position in range(r.shape[1]):
        if written.starts[position] == written.starts[position + 1]:
            continue
        columns, vectors = written.columns_at(position), written.at(position)
        if isinstance(columns, slice):
            here = features[:, columns]
            torch.addmm(here, r[:, position], vectors.T, out=here)
        else:
            features[:, columns] += r[:, position] @ vectors.T


def _send(frozen: Frozen, layer: int, r: Tensor, waiting: dict[int, Tensor]) -> None:
    """Send gradients at a layer's MLP output down the skips that end there, to the layers they begin at."""
    sources = [at for at, code in enumerate(frozen.codes) if layer in code.skips]
    if not sources:
        return
    behind = frozen.writes[layer].back(r)
    for at in sources:
        sent = behind @ frozen.codes[at].skips[layer].T
        if at in waiting:
            sent[: len(waiting[at])] += waiting[at]
        waiting[at] = sent


def _dot(r: Float[Tensor, "rows tokens d"], vectors: Float[Tensor, "all d"]) -> Float[Tensor, "rows"]:
    """Each row's gradient times vectors, over all tokens."""
    return r.flatten(1) @ vectors[: r.shape[1]].flatten()


def _dots(r: Float[Tensor, "rows tokens d"], vectors: Float[Tensor, "all d"]) -> Float[Tensor, "rows tokens"]:
    """Each row's gradient at a token times that token's vector."""
    return torch.einsum("npd,pd->np", r, vectors[: r.shape[1]])

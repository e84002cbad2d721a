"""Moving rows between caches: kept, left out, appended or put into another batch, in every kind of layer.

Rows are right-aligned: the newest token of every row stands in the newest column, and what a row does not use
lies to the left of it. So a row moves to another batch by copying its columns to the right edge there, and
distances between columns of a row, which sliding windows and chunks count, stay what they were.

A layer holds up to four kinds of tensors, and all of them are moved alike:

1. keys and values, with a column for every token;
2. the same for the last `window - 1` tokens alone (sliding windows and chunks);
3. keys of an indexer (sparse attention), with a column for every token;
4. convolution and recurrent states, which have no columns.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import (
    DynamicIndexedLayer,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
    LinearAttentionLayer,
)

from mindscope.errors import ModelError
from mindscope.models.generation.kv_cache import BlockLayer, StatefulBlockLayer

_KNOWN = (
    BlockLayer,
    StatefulBlockLayer,
    DynamicLayer,
    DynamicIndexedLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
)

_AXES = {"keys": (0, 2), "values": (0, 2), "indexer_keys": (0, 1), "indexer_position_ids": (1, 2)}
"""By attribute of a layer: the axis of rows and the axis of columns."""

_STATES = ("conv_states", "recurrent_states")


def rearrange_rows(cache: DynamicCache, kept: Tensor | None, n_blank: int, columns: int) -> None:
    """Keep some rows in a new order, append blank ones, and hold `columns` columns of each.

    Args:
        cache: changed in place.
        kept: indices of rows on the CPU; None for all as they are.
        n_blank: how many rows of zeros follow them.
        columns: how many columns there are then; cut or filled with zeros at the left.

    Raises:
        ModelError: a layer keeps something that is not known here.
    """
    for layer in cache.layers:
        _rearrange_layer(layer, kept, n_blank, columns)
        _rearrange_states(layer, kept, n_blank)


def permute_rows(cache: DynamicCache, order: Sequence[int], lengths: Sequence[int], columns: int) -> None:
    """Put rows into another order and cut columns that no row uses, where possible without a second buffer.

    Args:
        cache: changed in place, and so are its tensors: no other cache shares them.
        order: for each line the line whose row it takes, each of them once.
        lengths: by line as they were, how many tokens its row has.
        columns: how many columns there are then; no row is longer.
    """
    kept = torch.tensor(order)
    for layer in cache.layers:
        if isinstance(layer, BlockLayer) and layer.room:
            layer.permute_lines(order, lengths, columns)
        else:
            _rearrange_layer(layer, kept, 0, columns)
        _rearrange_states(layer, kept, 0)


def _rearrange_layer(layer: Any, kept: Tensor | None, n_blank: int, columns: int) -> None:
    new = {
        name: _rearranged(tensor, kept, n_blank, axes, _held(layer, columns))
        for name, tensor, axes in _tensors(layer)
    }
    if isinstance(layer, BlockLayer) and new:
        layer.refill(new["keys"], new["values"])
    else:
        for name, tensor in new.items():
            setattr(layer, name, tensor)
    if isinstance(layer, DynamicSlidingWindowLayer):
        layer.cumulative_length = columns


def _rearrange_states(layer: Any, kept: Tensor | None, n_blank: int) -> None:
    for states in _states(layer):
        for index, state in states.items():
            if state is not None:
                states[index] = _rearranged(state, kept, n_blank, (0, None), 0)


def put_rows(cache: DynamicCache, lines: Tensor, other: DynamicCache) -> None:
    """Write the rows of another cache, which has as many columns or fewer, over these rows.

    What stood there before is gone, also where the new row is shorter: a value that is not finite would come
    through the mask.
    """
    for layer, source in zip(cache.layers, other.layers, strict=True):
        sources = {name: tensor for name, tensor, _ in _tensors(source)}
        for name, tensor, (rows, columns) in _tensors(layer):
            new, there = sources[name], lines.to(tensor.device)
            blank = tensor.shape[columns] - new.shape[columns]
            tensor.narrow(columns, 0, blank).index_fill_(rows, there, 0)
            tensor.narrow(columns, blank, new.shape[columns]).index_copy_(rows, there, new)
        for states, new_states in zip(_states(layer), _states(source), strict=True):
            for index, state in states.items():
                new_state = new_states[index]
                if state is not None and new_state is not None:
                    state.index_copy_(0, lines.to(state.device), new_state)


def require_known(cache: DynamicCache) -> None:
    """Refuse a cache whose rows cannot be told apart.

    Raises:
        ModelError: a layer is of a kind that this module does not know.
    """
    for layer in cache.layers:
        if type(layer) not in _KNOWN and type(layer).__name__ != "DummyLayer":
            raise ModelError(
                f"rows cannot be selected in this model's {type(layer).__name__}; write one row at a time "
                "(batch_rows=1)"
            )


def has_states(cache: DynamicCache) -> bool:
    """Whether a layer keeps a convolution or recurrent state, which has no columns."""
    return any(_states(layer) for layer in cache.layers)


def _tensors(layer: Any) -> list[tuple[str, Tensor, tuple[int, int]]]:
    """The tensors of a layer that have columns; none while nothing has passed through it."""
    found = ((name, getattr(layer, name, None), axes) for name, axes in _AXES.items())
    return [(name, tensor, axes) for name, tensor, axes in found if tensor is not None and tensor.numel()]


def _states(layer: Any) -> list[dict[int, Tensor | None]]:
    return [states for name in _STATES if (states := getattr(layer, name, None)) is not None]


def _held(layer: Any, columns: int) -> int:
    """How many of the newest columns a layer holds."""
    if isinstance(layer, DynamicSlidingWindowLayer):
        return min(columns, layer.sliding_window - 1)
    return columns


def _rearranged(
    tensor: Tensor, kept: Tensor | None, n_blank: int, axes: tuple[int, int | None], columns: int
) -> Tensor:
    rows_axis, columns_axis = axes
    shape, width = list(tensor.shape), 0
    if columns_axis is not None:
        width, shape[columns_axis] = min(columns, shape[columns_axis]), columns
        tensor = tensor.narrow(columns_axis, tensor.shape[columns_axis] - width, width)
    if kept is not None:
        tensor = tensor.index_select(rows_axis, kept.to(tensor.device))
    n_rows = tensor.shape[rows_axis]
    shape[rows_axis] = n_rows + n_blank
    if shape == list(tensor.shape):
        return tensor
    new = torch.zeros(shape, dtype=tensor.dtype, device=tensor.device)
    there = new.narrow(rows_axis, 0, n_rows)
    if columns_axis is not None:
        there = there.narrow(columns_axis, columns - width, width)
    there.copy_(tensor)
    return new

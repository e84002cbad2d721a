"""Keys and values of a batch that grows by a column a step, without copying them at every step."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, LinearAttentionAndFullAttentionLayer

BLOCK = 32
"""Columns that are made room for at once. In types narrower than float32 `decode_attention` works on whole
blocks, because oneDNN compiles a kernel of half a megabyte for every shape it meets, and would meet a new one
at every step. Products in float32 are not compiled."""


class LineSpan(NamedTuple):
    """Some lines of a batch, and the first column that any of them uses."""

    first: int
    end: int
    column: int


class BlockLayer(DynamicLayer):
    """Keys and values at the beginning of buffers with room for more; the room is zeros.

    Attributes:
        spans: which columns the lines use, for `decode_attention` alone; None for all.
    """

    spans: Sequence[LineSpan] | None = None
    _buffers: tuple[Tensor, ...] = ()

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        buffers = self._buffers or (key_states[..., :0, :], value_states[..., :0, :])
        if end > buffers[0].shape[-2]:
            buffers = tuple(_with_room(buffer, end) for buffer in buffers)
        for buffer, new in zip(buffers, (key_states, value_states), strict=True):
            buffer[..., start:end, :] = new
        return self._show(buffers, end)

    def batch_select_indices(self, indices: Tensor) -> None:
        if self._buffers:
            self._show(tuple(buffer[indices] for buffer in self._buffers), self.get_seq_length())

    def refill(self, keys: Tensor, values: Tensor) -> None:
        """Hold these columns, `[rows, heads, columns, size]`, in place of all before, with room for more."""
        columns = keys.shape[-2]
        self._show((_with_room(keys, columns + 1), _with_room(values, columns + 1)), columns)

    @property
    def room(self) -> int:
        """How many columns the buffers hold."""
        return self._buffers[0].shape[-2] if self._buffers else 0

    def permute_lines(self, order: Sequence[int], lengths: Sequence[int], columns: int) -> None:
        """Put lines into another order and cut columns at the left, inside the buffers.

        1. Where fewer columns are free than a new buffer would have, the buffers grow.
        2. The lines of each cycle of the permutation move up by one, the first through a copy. Only a line's
           own columns move: most of a buffer is room and the left of short rows.
        3. All else becomes zeros: what is not finite would come through the mask.

        Args:
            order: for each line the line whose row it takes, each of them once.
            lengths: by line as they were, how many of the newest columns are its row's.
            columns: how many columns there are then; no row is longer.
        """
        before = self.get_seq_length()
        if columns_of_room(columns + 1) > self.room:
            self._buffers = tuple(_with_room(buffer, before + 1) for buffer in self._buffers)
        for buffer in self._buffers:
            for first in range(len(order)):
                if min(cycle := _cycle(order, first)) == first:
                    _shift_cycle(buffer, cycle, lengths, before, columns)
            for line, source in enumerate(order):
                buffer[line, :, : columns - lengths[source]] = 0
            buffer[:, :, columns:before] = 0
        self._show(self._buffers, columns)

    def _show(self, buffers: tuple[Tensor, ...], length: int) -> tuple[Tensor, Tensor]:
        self._buffers = buffers
        keys, values = (buffer[..., :length, :] for buffer in buffers)
        for view, buffer in zip((keys, values), buffers, strict=True):
            view.roomy = buffer  # pyright: ignore[reportAttributeAccessIssue] - for decode_attention alone
            view.spans = self.spans  # pyright: ignore[reportAttributeAccessIssue]
        self.keys, self.values = keys, values
        return keys, values


class StatefulBlockLayer(BlockLayer, LinearAttentionAndFullAttentionLayer):
    """The same in a layer that attends and keeps a recurrent state side by side (Falcon-H1)."""


def columns_of_room(columns: int) -> int:
    """The columns of a buffer that holds so many: whole blocks, and an eighth more than are needed."""
    return -(-(columns + columns // 8) // BLOCK) * BLOCK


def _with_room(buffer: Tensor, columns: int) -> Tensor:
    """The same columns at the beginning of a buffer with room for at least `columns` columns."""
    rows, heads, length, size = buffer.shape
    grown = buffer.new_empty(rows, heads, columns_of_room(columns), size)
    grown[..., :length, :] = buffer
    grown[..., length:, :] = 0
    return grown


def _cycle(order: Sequence[int], first: int) -> list[int]:
    """The lines from `first` on of which each takes the row of the next, and the last that of `first`."""
    lines = [first]
    while order[lines[-1]] != first:
        lines.append(order[lines[-1]])
    return lines


def _shift_cycle(
    buffer: Tensor, cycle: Sequence[int], lengths: Sequence[int], before: int, columns: int
) -> None:
    """Let each line of a cycle take the columns of the next, which then end at `columns`, not at `before`."""
    sources = [buffer[line, :, before - lengths[line] : before] for line in cycle]
    sources[0] = sources[0].clone()
    for line, source in zip(cycle, [*sources[1:], sources[0]], strict=True):
        buffer[line, :, columns - source.shape[-2] : columns] = source


def growing_cache(config: Any) -> DynamicCache:
    """The cache transformers would use, with full-attention layers that grow in blocks."""
    cache = DynamicCache(config=config)
    if cache.layer_class_to_replicate is not None:
        cache.layer_class_to_replicate = BlockLayer
    cache.layers = [_growing(layer) for layer in cache.layers]
    return cache


def plain_cache(n_layers: int) -> DynamicCache:
    """The same for a model whose layers all attend to every column, without a look at its configuration."""
    cache = DynamicCache()
    cache.layers = [BlockLayer() for _ in range(n_layers)]  # pyright: ignore[reportAttributeAccessIssue]
    cache.layer_class_to_replicate = None
    return cache


def _growing(layer: Any) -> Any:
    if type(layer) is DynamicLayer:
        return BlockLayer()
    if type(layer) is LinearAttentionAndFullAttentionLayer:
        return StatefulBlockLayer(number_of_states=layer.number_of_states)
    return layer

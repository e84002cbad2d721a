"""Keys and values of a batch that grows by a column a step, without copying them at every step."""

from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

BLOCK = 32
"""Columns that are made room for at once. `decode_attention` works on whole blocks, because oneDNN compiles a
kernel of half a megabyte for every shape it meets, and would meet a new one at every step."""


class _BlockLayer(DynamicLayer):
    """Keys and values at the beginning of buffers with room for more; the room is zeros."""

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

    def _show(self, buffers: tuple[Tensor, ...], length: int) -> tuple[Tensor, Tensor]:
        self._buffers = buffers
        keys, values = (buffer[..., :length, :] for buffer in buffers)
        for view, buffer in zip((keys, values), buffers, strict=True):
            view.roomy = buffer  # pyright: ignore[reportAttributeAccessIssue] - for decode_attention alone
        self.keys, self.values = keys, values
        return keys, values


def _with_room(buffer: Tensor, columns: int) -> Tensor:
    """The same columns at the beginning of whole blocks for at least `columns` columns."""
    rows, heads, length, size = buffer.shape
    grown = buffer.new_zeros(rows, heads, -(-columns // BLOCK) * BLOCK, size)
    grown[..., :length, :] = buffer
    return grown


def growing_cache(config: Any) -> DynamicCache:
    """The cache transformers would use, with full-attention layers that grow in blocks."""
    cache = DynamicCache(config=config)
    cache.layers = [_BlockLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache

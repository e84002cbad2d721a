"""Activations on their way into training: the next buffer is read while the present one is trained on.

1. A buffer is filled from a position of the source, as ever; that says where the next one begins.
2. A thread fills a second buffer from there. It is the only one that asks the source until it is waited for.
3. When the next buffer is asked for, from that position, the two change places.

What is read from a position does not depend on when it is read, so the dictionaries are the same.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from mindscope.dictionaries.training.ordinary import LeftOut
from mindscope.dictionaries.training.sources import Position

BufferFill = Callable[[Tensor, Position], tuple[Position, LeftOut]]
"""Fills a buffer from a position, and says where the next one begins and what was left out on the way."""


class BufferReader:
    """Hands out one buffer after the other.

    Args:
        fill: reads.
        shape: `[tokens, width]` of a buffer.
        ahead: whether the next buffer is read meanwhile, into memory of its own.
    """

    def __init__(self, fill: BufferFill, shape: tuple[int, int], *, ahead: bool) -> None:
        self._fill = fill
        self._buffers = [torch.empty(shape) for _ in range(2 if ahead else 1)]
        self._thread = ThreadPoolExecutor(1, "activations") if ahead else None
        self._next: tuple[Position, Future[tuple[Position, LeftOut]]] | None = None

    def read(self, position: Position) -> tuple[Tensor, Position, LeftOut]:
        """The buffer that begins at a position, good until the next is read, and what `BufferFill` says."""
        begun, self._next = self._next, None
        if begun is not None and begun[0] == position:
            self._buffers.reverse()
            ends, left_out = begun[1].result()
        else:
            if begun is not None:
                begun[1].exception()  # it reads another place: the source is free when it has ended
            ends, left_out = self._fill(self._buffers[0], position)
        return self._buffers[0], ends, left_out

    def begin_next(self, position: Position) -> None:
        """Begin to read the buffer that will be asked for next, if that is wanted."""
        if self._thread is not None:
            self._next = position, self._thread.submit(self._fill, self._buffers[1], position)

    def close(self) -> None:
        """Wait until nothing is read any more."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)


class BatchStaging:
    """Moves batches to the device.

    To a GPU from page-locked memory, of which two batches take turns, so that the host gathers the next one
    while the device copies or computes.
    """

    def __init__(self, device: torch.device, shape: tuple[int, int]) -> None:
        self._device = device
        self._staged = [torch.empty(shape, pin_memory=True) for _ in range(2 * (device.type == "cuda"))]
        self._copied = [torch.cuda.Event() for _ in self._staged]

    def move(self, buffer: Tensor, rows: Tensor) -> Tensor:
        """These rows of a buffer, on the device."""
        if not self._staged:
            return buffer[rows].to(self._device)
        self._staged.reverse()
        self._copied.reverse()
        self._copied[0].synchronize()  # the device has read what is overwritten now
        staged = torch.index_select(buffer, 0, rows, out=self._staged[0])
        batch = staged.to(self._device, non_blocking=True)
        self._copied[0].record()
        return batch

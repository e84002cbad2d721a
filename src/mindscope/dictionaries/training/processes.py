"""Several processes that train together: each takes its share of every batch, all hold the same weights."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

Value = TypeVar("Value")


@dataclass(frozen=True)
class TrainingWorld:
    """Which of how many processes this is. One alone needs no other, and every method is free.

    What several compute is what one would compute on the whole batch, but for the order of sums.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files."""
        return self.rank == 0

    def share(self, length: int) -> slice:
        """This process's part of something, in the order of the processes."""
        return slice(length * self.rank // self.count, length * (self.rank + 1) // self.count)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, which also replaces the tensor."""
        if self.count > 1:
            distributed.all_reduce(tensor)
        return tensor

    def least(self, value: float) -> float:
        """The smallest of all processes' values."""
        return min(self._gather(value))

    def same(self, tensor: Tensor) -> Tensor:
        """The first process's tensor, which also replaces this one's."""
        if self.count > 1:
            distributed.broadcast(tensor, 0)
        return tensor

    def of_first(self, value: Value) -> Value:
        """The first process's value, of any kind."""
        if self.count == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, 0)
        return values[0]

    def joined(self, tensor: Tensor) -> tuple[Tensor, slice]:
        """What all processes have, `[entries, ...]`, in their order, and which part is this one's."""
        if self.count == 1:
            return tensor, slice(0, len(tensor))
        # all_gather takes equal sizes only: shorter parts are padded, and cut again behind it.
        sizes = [int(size) for size in self._gather(len(tensor))]
        padded = tensor.new_zeros(max(sizes), *tensor.shape[1:])
        padded[: len(tensor)] = tensor
        parts = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(parts, padded)
        start = sum(sizes[: self.rank])
        own = slice(start, start + len(tensor))
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)]), own

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            distributed.barrier()

    def _gather(self, value: float) -> list[float]:
        """The value that every process has, in their order."""
        if self.count == 1:
            return [value]
        values: list[float] = [0.0] * self.count
        distributed.all_gather_object(values, value)
        return values


ALONE = TrainingWorld()


@contextmanager
def torchrun_world() -> Iterator[TrainingWorld]:
    """The processes that `torchrun` started; without it, this one alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    distributed.init_process_group()
    try:
        yield TrainingWorld(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def own_device(device: str) -> str:
    """Each of several processes on one machine has a GPU of its own."""
    if device in ("auto", "cuda") and torch.cuda.is_available() and "LOCAL_RANK" in os.environ:
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return device

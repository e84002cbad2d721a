"""Several processes that train together: each takes a share of every batch, a slice of the latents, or both.

1. Processes that share batches (`TrainingMesh.data`) hold the same weights and sum their gradients.
2. Processes that share latents (`TrainingMesh.latents`) see the same tokens. Each holds the encoder and
   decoder rows of its slice, with their gradients and Adam's moments. What the slices write is summed
   (`sum_over_slices`), and the loss of the sum is computed in each: its gradient is each one's own.
3. What all slices hold alike and use on different latents, the decoder bias that is subtracted from the
   input, has a gradient in each, which `share_with_slices` sums.

So `[tokens, d_out]` sums go from one to the other and what chooses the active latents, never weights. FSDP2
would gather whole matrices in each process before every step and compute all latents there; DTensor has no
rule for a choice that depends on the data, nor for the kernels that cost what is active. Plain collectives
say in a few lines what is exchanged. Steps 2 and 3 are the pair of operators of Shoeybi et al. 2019,
"Megatron-LM", section 3.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from mindscope.errors import DataError

Value = TypeVar("Value")


@dataclass(frozen=True)
class TrainingWorld:
    """Which of how many processes this is. One alone needs no other, and every method is free.

    What several compute is what one would compute on the whole batch, but for the order of sums.
    """

    rank: int = 0
    count: int = 1
    group: Any = None
    """The `ProcessGroup` of those processes, if they are not all that there are."""

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
            distributed.all_reduce(tensor, group=self.group)
        return tensor

    def least(self, value: float) -> float:
        """The smallest of all processes' values."""
        return min(self._gather(value))

    def same(self, tensor: Tensor) -> Tensor:
        """The first process's tensor, which also replaces this one's."""
        if self.count > 1:
            distributed.broadcast(tensor, group=self.group, group_src=0)
        return tensor

    def of_first(self, value: Value) -> Value:
        """The first process's value, of any kind."""
        if self.count == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, group=self.group, group_src=0)
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
        distributed.all_gather(parts, padded, group=self.group)
        start = sum(sizes[: self.rank])
        own = slice(start, start + len(tensor))
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)]), own

    def apart(self) -> "TrainingWorld":
        """The same processes with lines of their own: what a thread exchanges does not get between."""
        return replace(self, group=distributed.new_group()) if self.count > 1 else self

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            distributed.barrier(group=self.group)

    def _gather(self, value: float) -> list[float]:
        """The value that every process has, in their order."""
        if self.count == 1:
            return [value]
        values: list[float] = [0.0] * self.count
        distributed.all_gather_object(values, value, group=self.group)
        return values


ALONE = TrainingWorld()


@dataclass(frozen=True)
class TrainingMesh:
    """Processes as rows that share batches, and columns that share latents.

    Attributes:
        everyone: all of them.
        data: those that hold the same latents as this one; each takes its share of every batch.
        latents: those that see the same tokens as this one; each holds its slice of every coder's latents.
    """

    everyone: TrainingWorld = ALONE
    data: TrainingWorld = ALONE
    latents: TrainingWorld = ALONE

    @classmethod
    def of(cls, world: "TrainingWorld | TrainingMesh", latent_shards: int = 1) -> "TrainingMesh":
        """The processes of a world, so many neighbours of which share latents; all call it together.

        Raises:
            DataError: they cannot be parted so.
        """
        if isinstance(world, TrainingMesh):
            return world
        if world.count % latent_shards:
            raise DataError(
                f"{world.count} processes are no multiple of {latent_shards} slices of the latents: start "
                f"`torchrun --nproc-per-node` with a multiple of {latent_shards}"
            )
        if latent_shards == 1:
            return cls(world, world, ALONE)
        # rows x columns: neighbours, which are on one machine, share latents and exchange most
        places = torch.arange(world.count).view(-1, latent_shards)
        row, column = divmod(world.rank, latent_shards)
        # every process makes all groups, in the same order
        across = [distributed.new_group(ranks) for ranks in places.tolist()]
        along = [distributed.new_group(ranks) for ranks in places.T.tolist()]
        data = TrainingWorld(row, len(places), along[column])
        return cls(world, data, TrainingWorld(column, latent_shards, across[row]))

    @property
    def first(self) -> bool:
        """Whether this is the process that writes the results."""
        return self.everyone.first


ALONE_MESH = TrainingMesh()


def sum_over_slices(tensor: Tensor, latents: TrainingWorld) -> Tensor:
    """The sum of what the slices of the latents made. Backward, each has the gradient of the sum."""
    if latents.count == 1:
        return tensor
    total = _SumForward.apply(tensor, latents)
    assert isinstance(total, Tensor)
    return total


def share_with_slices(tensor: Tensor, latents: TrainingWorld) -> Tensor:
    """What all slices of the latents have alike. Backward, the gradients of all of them are summed."""
    if latents.count == 1:
        return tensor
    shared = _SumBackward.apply(tensor, latents)
    assert isinstance(shared, Tensor)
    return shared


class _SumForward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, latents: TrainingWorld) -> Tensor:
        return latents.sum(tensor.clone(memory_format=torch.contiguous_format))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _SumBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, latents: TrainingWorld) -> Tensor:
        ctx.latents = latents
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.latents.sum(gradients[0].clone(memory_format=torch.contiguous_format)), None


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

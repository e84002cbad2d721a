"""Counting and finding where a device works beside the host: the host waits for it once, or not at all.

What has as many entries as a device finds makes the host wait until it is known how many there are. So counts
are made without, numbers that are needed are read together, and with the count places are found without.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def is_apart(tensor: Tensor) -> bool:
    """Whether a device works on it beside the host."""
    return tensor.device.type != "cpu"


def count_each(numbers: Int[Tensor, "entries"], length: int) -> Int[Tensor, "length"]:
    """How often each number below `length` occurs. The host waits for no device, as `bincount` has it do."""
    return numbers.new_zeros(length).scatter_add_(0, numbers, torch.ones_like(numbers))


def read_numbers(
    counts: Int[Tensor, "*counts"], values: Float[Tensor, "values"] | None = None
) -> tuple[list[int], list[float]]:
    """What is in two tensors of a device, read together: the host waits for the device once."""
    counts = counts.reshape(-1)
    if values is None:
        return counts.tolist(), []
    both = torch.cat([counts, values.float().view(torch.int32).long()]).cpu()
    return both[: len(counts)].tolist(), both[len(counts) :].int().view(torch.float32).tolist()


def find_places(mask: Bool[Tensor, "entries"], count: int) -> Int[Tensor, "count"]:
    """Where a mask is true, in order, of which it is known how often it is: the host does not wait."""
    if not is_apart(mask):
        return mask.nonzero().flatten()
    places = torch.zeros(count + 1, dtype=torch.long, device=mask.device)
    # all where it is false go to the last place, which is cut off
    targets = torch.where(mask, mask.cumsum(0) - 1, count)
    places.scatter_(0, targets, torch.arange(len(mask), device=mask.device))
    return places[:count]

"""Reductions of activations while they stream past, so that `[rows, tokens, width]` is never kept."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.tokens.batch import PositionIndex
from mindscope.models.tokens.rows import Where, check_where


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over the tokens of `where`: `[width]` a row, summed in float32."""

    where: Where | tuple[int, ...]

    def __post_init__(self) -> None:
        check_where(self.where)


@dataclass(frozen=True, slots=True)
class Last:
    """The last token of `where`: `[width]` a row. `Last("prompt")` is where the answer is about to begin."""

    where: Where | tuple[int, ...]

    def __post_init__(self) -> None:
        check_where(self.where)


@dataclass(frozen=True, slots=True)
class Raw:
    """Every token of `where`: `[tokens, width]` a row."""

    where: Where | tuple[int, ...] = "all"

    def __post_init__(self) -> None:
        check_where(self.where)


@dataclass(frozen=True, slots=True, eq=False)
class Project:
    """Inner products of every token of `where` with k directions: `[tokens, k]` a row.

    The directions are taken as they are; unit vectors give projections in the activations' own units.
    """

    directions: Float[Tensor, "k width"]
    where: Where | tuple[int, ...]

    def __post_init__(self) -> None:
        check_where(self.where)
        if self.directions.ndim != 2 or not self.directions.is_floating_point():
            raise ModelError(f"directions must be float [k, width], got shape {tuple(self.directions.shape)}")
        if not torch.isfinite(self.directions).all():
            raise ModelError("directions hold NaN or infinity")


@dataclass(frozen=True, slots=True, eq=False)
class Apply:
    """A function of every token of `where`: `[tokens, size]` a row.

    The function takes float32 `[tokens, width]` on the model's device, tokens of any rows, and gives
    `[tokens, size]`: what a feature that is no plain direction reads.
    """

    function: Callable[[Tensor], Tensor]
    size: int
    where: Where | tuple[int, ...]

    def __post_init__(self) -> None:
        check_where(self.where)


Reduction = Mean | Last | Raw | Project | Apply


class _MeanCollector:
    """Running sums and counts per row."""

    def __init__(self, rows: int, width: int, device: torch.device):
        self.sums = torch.zeros(rows, width, device=device)
        self.counts = np.zeros(rows, np.int64)

    def take(self, chosen: PositionIndex, hidden: Tensor) -> None:
        self.counts[chosen.slots] += chosen.counts[chosen.rows]
        picked = hidden if len(chosen.rows) == len(hidden) else hidden[chosen.rows]
        if hidden.shape[1] == 1:
            values = picked[:, 0]
        else:
            weights = torch.from_numpy(chosen.mask[chosen.rows]).to(hidden.device, torch.float32)
            values = (weights[:, None] @ picked.float())[:, 0]
        if chosen.in_place and len(values) == len(self.sums):
            self.sums += values.to(self.sums.device)
        else:
            self.sums.index_add_(0, chosen.index.to(self.sums.device), values.to(self.sums))

    def result(self, slot: int) -> Float[Tensor, "width"]:
        return (self.sums[slot] / int(self.counts[slot])).cpu()

    def results(self) -> Float[Tensor, "rows width"]:
        return self.sums.cpu() / torch.from_numpy(self.counts)[:, None]


class _LastCollector:
    """The latest token seen per row."""

    def __init__(self, rows: int, width: int, device: torch.device):
        self.values = torch.full((rows, width), float("nan"), device=device)

    def take(self, chosen: PositionIndex, hidden: Tensor) -> None:
        columns = chosen.mask.shape[1] - 1 - chosen.mask[chosen.rows, ::-1].argmax(1)
        self.values[chosen.index.to(self.values.device)] = hidden[chosen.rows, columns].to(self.values)

    def result(self, slot: int) -> Float[Tensor, "width"]:
        return self.values[slot].cpu().clone()

    def results(self) -> Float[Tensor, "rows width"]:
        return self.values.cpu()


class TokenCollector:
    """Every chosen token per row, or what a function makes of it."""

    def __init__(self, rows: int, width: int, function: Callable[[Tensor], Tensor] | None = None):
        self.function, self.width = function, width
        self.parts: list[list[Tensor]] = [[] for _ in range(rows)]

    def take(self, chosen: PositionIndex, hidden: Tensor) -> None:
        tokens = hidden[torch.from_numpy(chosen.mask).to(hidden.device)].float()
        if self.function is not None:
            tokens = self.function(tokens)
            if tokens.shape[1:] != (self.width,):
                raise ModelError(f"a function of {self.width} values gave shape {tuple(tokens.shape)}")
        parts = tokens.cpu().split(chosen.counts[chosen.rows].tolist())
        for slot, part in zip(chosen.slots.tolist(), parts, strict=True):
            self.parts[slot].append(part)

    def result(self, slot: int) -> Float[Tensor, "tokens width"]:
        return torch.cat([torch.zeros(0, self.width), *self.parts[slot]])

    def results(self) -> list[Tensor]:
        return [self.result(slot) for slot in range(len(self.parts))]

    def drain(self) -> dict[int, Float[Tensor, "tokens width"]]:
        """What came since the last call, by slot, and forget it."""
        found = {slot: torch.cat(parts) for slot, parts in enumerate(self.parts) if parts}
        for slot in found:
            self.parts[slot] = []
        return found


ReadCollector = _MeanCollector | _LastCollector | TokenCollector


def collector_of(reduction: Reduction, rows: int, width: int, device: torch.device) -> ReadCollector:
    """What carries out one reduction for a batch of rows; a row without tokens has a mean of NaN."""
    match reduction:
        case Mean():
            return _MeanCollector(rows, width, device)
        case Last():
            return _LastCollector(rows, width, device)
        case Raw():
            return TokenCollector(rows, width)
        case Project():
            directions = reduction.directions.to(device, torch.float32)
            return TokenCollector(
                rows, len(directions), lambda tokens: tokens @ directions.to(tokens.device).T
            )
        case Apply():
            return TokenCollector(rows, reduction.size, reduction.function)

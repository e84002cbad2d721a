"""Reductions of activations while they stream past, so that `[rows, tokens, width]` is never kept."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.tokens.batch import PositionIndex
from mindscope.models.tokens.rows import Positions, check_where


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over the tokens of `where`: `[width]` a row, summed in float32."""

    where: Positions

    def __post_init__(self) -> None:
        check_where(self.where)


@dataclass(frozen=True, slots=True)
class Last:
    """The last token of `where`: `[width]` a row. `Last("prompt")` is where the answer is about to begin."""

    where: Positions

    def __post_init__(self) -> None:
        check_where(self.where)


@dataclass(frozen=True, slots=True)
class Raw:
    """Every token of `where`: `[tokens, width]` a row."""

    where: Positions = "all"

    def __post_init__(self) -> None:
        check_where(self.where)


@dataclass(frozen=True, slots=True, eq=False)
class Project:
    """Inner products of every token of `where` with k directions: `[tokens, k]` a row.

    The directions are taken as they are; unit vectors give projections in the activations' own units.
    """

    directions: Float[Tensor, "k width"]
    where: Positions

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
    `[tokens, size]`: what a feature that is not a plain direction reads.
    """

    function: Callable[[Tensor], Tensor]
    size: int
    where: Positions

    def __post_init__(self) -> None:
        check_where(self.where)


Reduction = Mean | Last | Raw | Project | Apply


class MeanCollector:
    """Running sums and counts per row, of several addresses that share `where`: one buffer for all."""

    def __init__(self, n_addresses: int, n_rows: int, width: int, device: torch.device):
        self.sums = torch.zeros(n_addresses, n_rows, width, dtype=torch.float32, device=device)
        self.counts = np.zeros(n_rows, np.int64)

    def take(self, address: int, chosen: PositionIndex, hidden: Tensor) -> None:
        if address == 0:  # all addresses see the same tokens
            self.counts += chosen.counts
        if not chosen.whole:  # in place of a product with 0, which would let an infinite padding through
            hidden = hidden.masked_fill(~chosen.flags(hidden.device)[..., None], 0)
        values = hidden[:, 0] if hidden.shape[1] == 1 else hidden.sum(1, dtype=torch.float32)
        self.sums[address] += values.to(self.sums.device)

    def of_row(self, row: int) -> Float[Tensor, "addresses width"]:
        return self.sums[:, row].cpu() / _divisor(self.counts[row])

    def of_rows(self, address: int) -> Float[Tensor, "rows width"]:
        return self.sums[address].cpu() / torch.from_numpy(_divisor(self.counts))[:, None]

    def rearrange(self, kept: np.ndarray, n_blank: int) -> None:
        self.sums = _with_blank(self.sums, kept, n_blank, 0.0)
        self.counts = np.concatenate([self.counts[kept], np.zeros(n_blank, np.int64)])

    def put(self, rows: np.ndarray, other: "MeanCollector") -> None:
        self.sums[:, rows] = other.sums
        self.counts[rows] = other.counts


class LastCollector:
    """The latest token seen per row, of several addresses that share `where`."""

    def __init__(self, n_addresses: int, n_rows: int, width: int, device: torch.device):
        self.values = torch.full(
            (n_addresses, n_rows, width), float("nan"), dtype=torch.float32, device=device
        )
        self.counts = np.zeros(n_rows, np.int64)

    def take(self, address: int, chosen: PositionIndex, hidden: Tensor) -> None:
        if address == 0:
            self.counts += chosen.counts
        values = self.values[address]
        if hidden.shape[1] > 1:
            newest = hidden[torch.arange(len(hidden), device=hidden.device), chosen.newest(hidden.device)]
        else:
            newest = hidden[:, 0]
        newest = newest.to(values)
        if not chosen.mask.any(1).all():
            newest = torch.where(chosen.flags(values.device).any(1, keepdim=True), newest, values)
        values.copy_(newest)

    def of_row(self, row: int) -> Float[Tensor, "addresses width"]:
        return self.values[:, row].cpu().clone()

    def of_rows(self, address: int) -> Float[Tensor, "rows width"]:
        return self.values[address].cpu()

    def rearrange(self, kept: np.ndarray, n_blank: int) -> None:
        self.values = _with_blank(self.values, kept, n_blank, float("nan"))
        self.counts = np.concatenate([self.counts[kept], np.zeros(n_blank, np.int64)])

    def put(self, rows: np.ndarray, other: "LastCollector") -> None:
        self.values[:, rows] = other.values
        self.counts[rows] = other.counts


class TokenCollector:
    """Every chosen token per row, or what a function makes of it.

    What passes by stays on the device and is fetched in one transfer for many passes. Whether it was finite
    is noted before the function has it: a threshold makes zeros of what is not a number.

    Args:
        n_rows: how many rows there are.
        width: of what is kept of a token.
        function: what is made of tokens, `[tokens, width of the place]`; None for the tokens as they are.
        linear: whether it makes nothing finite of what is not finite.

    Attributes:
        members: `[rows]`, the rows of which anything is taken.
        broken: `[rows]`, those of which a token was not finite.
    """

    def __init__(
        self,
        n_rows: int,
        width: int,
        function: Callable[[Tensor], Tensor] | None = None,
        *,
        linear: bool = False,
    ):
        self.function, self.width, self.linear = function, width, linear or function is None
        self.members, self.broken = np.ones(n_rows, bool), np.zeros(n_rows, bool)
        self._parts: list[list[Tensor]] = [[] for _ in range(n_rows)]
        self._kept = False  # whether any of the parts holds a token
        # Of each pass its tokens, whether they were finite (None: that is seen in what was made of them), and
        # how many each row had.
        self._fresh: list[tuple[Tensor, Tensor | None, np.ndarray]] = []

    def take(self, chosen: PositionIndex, hidden: Tensor) -> None:
        chosen = chosen.among(self.members)
        if not chosen.n_chosen:
            return
        tokens = hidden[:, 0] if hidden.shape[1] == 1 else hidden.flatten(0, 1)
        if chosen.n_chosen < len(tokens):
            tokens = tokens[chosen.index(hidden.device)]
        tokens = tokens.float() if self.function is not None else tokens.to(torch.float32, copy=True)
        # A projection of what is not finite is not finite either, and is smaller to look at.
        finite = None if self.linear else tokens.isfinite().all(-1)
        if self.function is not None:
            tokens = self.function(tokens)
            if tokens.shape[1:] != (self.width,):
                raise ModelError(f"a function of {self.width} values gave shape {tuple(tokens.shape)}")
        self._fresh.append((tokens, finite, chosen.counts))
        if len(self._fresh) == _PASSES_A_TRANSFER:
            self._fetch()

    def of_row(self, row: int) -> Float[Tensor, "tokens width"]:
        self._fetch()
        return torch.cat([torch.zeros(0, self.width, dtype=torch.float32), *self._parts[row]])

    def of_rows(self) -> list[Tensor]:
        return [self.of_row(row) for row in range(len(self._parts))]

    def drain(self) -> tuple[Int[np.ndarray, "rows"], Float[Tensor, "tokens width"]] | None:
        """How many tokens of each row came since the last call, and these row by row; they are forgotten.

        None where none came.
        """
        if not self._kept:  # the usual case
            if not self._fresh:
                return None
            if len(self._fresh) == 1:  # whose tokens lie row by row already
                tokens, finite, counts = self._fresh.pop()
                tokens = tokens.cpu()
                self._note_broken(tokens, finite, counts)
                return counts, tokens
            tokens, counts, rows = self._take_fresh()
            by_row = np.argsort(np.repeat(rows, counts), kind="stable")
            return counts.reshape(-1, len(self._parts)).sum(0), tokens[torch.from_numpy(by_row)]
        self._fetch()
        counts = np.array([sum(map(len, parts)) for parts in self._parts], np.int64)
        tokens = torch.cat(
            [
                torch.zeros(0, self.width, dtype=torch.float32),
                *(part for parts in self._parts for part in parts),
            ]
        )
        self._parts, self._kept = [[] for _ in self._parts], False
        return counts, tokens

    def rearrange(self, kept: np.ndarray, n_blank: int) -> None:
        self._fetch()
        self._parts = [*(self._parts[row] for row in kept.tolist()), *([] for _ in range(n_blank))]
        self.members = np.concatenate([self.members[kept], np.zeros(n_blank, bool)])
        self.broken = np.concatenate([self.broken[kept], np.zeros(n_blank, bool)])

    def put(self, rows: np.ndarray, other: "TokenCollector") -> None:
        self._fetch()
        other._fetch()
        for row, parts in zip(rows.tolist(), other._parts, strict=True):
            self._parts[row] = parts
        self._kept = self._kept or other._kept
        self.members[rows], self.broken[rows] = other.members, other.broken

    def _fetch(self) -> None:
        if not self._fresh:
            return
        self._kept = True
        tokens, counts, rows = self._take_fresh()
        for row, part in zip(rows.tolist(), tokens.split(counts.tolist()), strict=True):
            if len(part):
                self._parts[row].append(part)

    def _take_fresh(self) -> tuple[Float[Tensor, "tokens width"], np.ndarray, np.ndarray]:
        """The tokens of the passes since the last call in one transfer, pass by pass and row by row in each;
        how many each row of each pass had, and which row that was.
        """
        fresh, self._fresh = self._fresh, []
        counts = np.concatenate([count for _, _, count in fresh])
        tokens = torch.cat([tokens for tokens, _, _ in fresh]).cpu()
        finite = None if self.linear else torch.cat([part for _, part, _ in fresh if part is not None])
        self._note_broken(tokens, finite, counts)
        return tokens, counts, np.tile(np.arange(len(self._parts)), len(fresh))

    def _note_broken(self, tokens: Tensor, finite: Tensor | None, counts: np.ndarray) -> None:
        """Note the rows of tokens that were not finite; `counts` goes round all rows once a pass."""
        if finite is None:
            values = tokens.numpy()
            # One sum in place of a look at each; float32 does not overflow in float64.
            if math.isfinite(np.add.reduce(values, None, np.float64)):
                return
            sound = np.isfinite(values).all(1)
        else:
            sound = finite.cpu().numpy()
        if not sound.all():
            rows = np.arange(len(counts)) % len(self._parts)
            self.broken[np.repeat(rows, counts)[~sound]] = True


_PASSES_A_TRANSFER = 32
"""Passes whose tokens wait on the device: they are few, one a row and pass, and a transfer waits for all that
runs."""


def _with_blank(values: Tensor, kept: np.ndarray, n_blank: int, blank: float) -> Tensor:
    """Rows of `[addresses, rows, width]`, then blank ones."""
    picked = values[:, torch.from_numpy(kept).to(values.device)]
    return torch.cat([picked, picked.new_full((len(values), n_blank, values.shape[2]), blank)], 1)


def _divisor(counts: np.ndarray | np.integer) -> Any:
    """Counts by which a sum is divided: NaN in place of 0, so that a mean of nothing is NaN."""
    return np.where(counts == 0, np.nan, counts).astype(np.float32)


def build_token_collector(
    reduction: Raw | Project | Apply, n_rows: int, width: int, device: torch.device
) -> TokenCollector:
    """What gathers tokens for a batch of rows."""
    match reduction:
        case Raw():
            return TokenCollector(n_rows, width)
        case Project():
            columns = reduction.directions.to(device, torch.float32).T
            return TokenCollector(
                n_rows,
                columns.shape[1],
                lambda tokens: tokens @ columns.to(tokens.device),
                linear=columns.shape[1] > 0,
            )
        case Apply():
            return TokenCollector(n_rows, reduction.size, reduction.function)

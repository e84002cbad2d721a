"""Drawing the next token of many rows, each with its own random numbers."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.models.generation.config import Sampling

Key = int | tuple[int, ...]
"""What seeds the random numbers of one answer."""

NOT_FINITE = -1
"""Drawn in place of a token where the logits are no numbers."""

_NUMBERS = 32
"""Random numbers that are drawn and sent to the device at once."""


class UniformTable:
    """The random numbers of rows that are written side by side, on the device: one a token and row.

    A row's i-th number is the i-th of `np.random.default_rng(key).random(n, np.float32)`, whoever its
    neighbours are and whenever it joined. Numbers are drawn in blocks as they are needed. Rows join at
    different steps; a row's next number always stands in the column of the current step, so that a step takes
    one column and no row needs a counter of its own.
    """

    def __init__(self, n_rows: int, device: torch.device):
        self._device = device
        self._streams: list[np.random.Generator | None] = [None] * n_rows
        self._table = torch.zeros(n_rows, _NUMBERS, dtype=torch.float32, device=device)
        self._column = 0

    def rearrange(self, kept: np.ndarray, n_blank: int) -> None:
        """Keep some rows in a new order, and append blank ones."""
        self._streams = [*(self._streams[row] for row in kept.tolist()), *[None] * n_blank]
        table = self._table[torch.from_numpy(kept).to(self._device)]
        self._table = torch.cat([table, table.new_zeros(n_blank, _NUMBERS)])

    def put(self, rows: np.ndarray, keys: Sequence[Key | None]) -> None:
        """Begin the numbers of these rows; a row with None takes none."""
        for row, key in zip(rows.tolist(), keys, strict=True):
            self._streams[row] = None if key is None else np.random.default_rng(key)
        numbers = self._drawn(rows.tolist(), _NUMBERS - self._column)
        self._table[torch.from_numpy(rows).to(self._device), self._column :] = numbers

    def next(self) -> Float[Tensor, "rows"]:
        """The number of every row for this step."""
        if self._column == _NUMBERS:
            self._column = 0
            self._table = self._drawn(range(len(self._streams)), _NUMBERS)
        self._column += 1
        return self._table[:, self._column - 1]

    def _drawn(self, rows: Iterable[int], n_numbers: int) -> Float[Tensor, "rows numbers"]:
        streams = [self._streams[row] for row in rows]
        blank = np.zeros(n_numbers, np.float32)
        numbers = [blank if stream is None else stream.random(n_numbers, np.float32) for stream in streams]
        return torch.from_numpy(np.stack(numbers)).to(self._device)


def draw_tokens(
    logits: Float[Tensor, "rows vocabulary"], sampling: Sampling, uniform: Float[Tensor, "rows"]
) -> Int[Tensor, "rows"]:
    """One token a row, by inverting the cumulative distribution at the row's own random number.

    Returns:
        The tokens, and `NOT_FINITE` where the logits hold NaN, or infinity for every token: whether they do
        is then known with the tokens, and the device is not waited for twice.
    """
    if sampling.temperature == 0:
        top = logits.max(-1)
        return top.indices.masked_fill(~torch.isfinite(top.values), NOT_FINITE)
    scores = logits.float() if sampling.temperature == 1 else logits.float() / sampling.temperature
    order = None
    if 0 < sampling.top_k < scores.shape[-1]:
        scores, order = scores.topk(sampling.top_k)
    elif sampling.top_p < 1:
        scores, order = scores.sort(descending=True)
    probabilities = scores.softmax(-1)
    if sampling.top_p < 1:
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(before >= sampling.top_p, 0.0)
    cumulative = probabilities.cumsum(-1)
    total = cumulative[:, -1:]
    # Below the total even after rounding, so that the draw never lands behind the last token.
    target = torch.minimum(uniform[:, None] * total, torch.nextafter(total, torch.zeros_like(total)))
    drawn = torch.searchsorted(cumulative, target, right=True)
    drawn.clamp_(max=scores.shape[-1] - 1)  # only where the total is not a number
    tokens = drawn if order is None else order.gather(-1, drawn)
    return tokens.masked_fill(~torch.isfinite(total), NOT_FINITE).squeeze(-1)

"""How well a dictionary writes what it should: explained variance, MSE, cosine, norm."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

SUMS = ("tokens", "residual", "squares", "cosine", "norms")
NUMBERS_AT_ONCE = 2**22
"""How many activations are in float64 at a time: 32 MB, however many tokens there are."""


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """Of one site, or of several side by side, over all tokens.

    Attributes:
        explained_variance: 1 - mean |x - x'|² / mean |x - mean x|²: a ratio of means, not a mean of ratios
            (SAEBench, arXiv 2503.09532). None where nothing varies.
        mse: the mean of (x - x')² over tokens and dimensions.
        cosine: the mean of cos(x, x').
        norm_ratio: the mean of |x'| / |x|; below 1 where activations shrink.
    """

    explained_variance: float | None
    mse: float
    cosine: float
    norm_ratio: float


class ReconstructionSums:
    """Sums over tokens, in float64, which may be added up in any number of pieces.

    Attributes:
        total: of |x - x'|², |x|², cos and |x'| / |x|, and how many tokens, by the names of `SUMS`.
        mean: the sum of x, `[width]`.
    """

    def __init__(self, width: int) -> None:
        self.total = torch.zeros(len(SUMS), dtype=torch.float64)
        self.mean = torch.zeros(width, dtype=torch.float64)

    def add(self, x: Float[Tensor, "tokens width"], written: Float[Tensor, "tokens width"]) -> None:
        """Take in activations and their reconstructions."""
        size = max(1, NUMBERS_AT_ONCE // max(1, x.shape[1]))
        for part, out in zip(x.split(size), written.split(size), strict=True):
            # to the CPU first: some devices have no float64
            self._add(part.cpu().double(), out.cpu().double())

    def _add(self, x: Tensor, written: Tensor) -> None:
        norms, lengths = x.norm(dim=1), written.norm(dim=1)
        tiny = torch.finfo(torch.float64).tiny
        self.total += torch.stack(
            [
                torch.tensor(len(x), dtype=torch.float64),
                (x - written).square().sum(),
                x.square().sum(),
                ((x * written).sum(1) / (norms * lengths).clamp(min=tiny)).sum(),
                (lengths / norms.clamp(min=tiny)).sum(),
            ]
        )
        self.mean += x.sum(0)

    def merge(self, total: Tensor, mean: Tensor) -> None:
        """Add what another piece has summed up."""
        self.total += total
        self.mean += mean

    def result(self) -> Reconstruction:
        """What the sums say; there must be a token."""
        tokens, residual, squares, cosine, norms = self.total.tolist()
        variance = squares - float(self.mean.square().sum()) / tokens
        return Reconstruction(
            1 - residual / variance if variance > 1e-12 * squares else None,
            residual / tokens / len(self.mean),
            cosine / tokens,
            norms / tokens,
        )

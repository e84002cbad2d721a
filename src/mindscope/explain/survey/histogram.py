"""Exact histograms of many features at once, over ranges that need not be known before."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

BINS = 64


class ActivationHistograms:
    """Counts of positive magnitudes in `BINS` equal bins from 0 to a power of two, one row a feature.

    A magnitude beyond the range doubles it, and neighbouring bins become one: bins of the small range lie
    wholly in bins of the large one, so the counts are those of a histogram that had the last range from the
    beginning, whatever the order of the values.

    Attributes:
        counts: `[features, BINS]`, int64.
        exponents: `[features]`, the range of a feature is 2 to the power of this.
    """

    LOWEST = -60
    """Smaller magnitudes are counted in the first bin."""

    def __init__(self, features: int) -> None:
        self.counts: Int[Tensor, "features bins"] = torch.zeros(features, BINS, dtype=torch.int64)
        self.exponents: Int[Tensor, features] = torch.full((features,), self.LOWEST, dtype=torch.int64)

    def add(self, features: Int[Tensor, "values"], magnitudes: Float[Tensor, "values"]) -> None:
        """Count positive magnitudes, each of one feature."""
        if not len(features):
            return
        magnitudes = magnitudes.double()
        needed = torch.frexp(magnitudes).exponent.long()  # magnitude < 2 ** exponent
        self._widen(self.exponents.scatter_reduce(0, features, needed, "amax"))
        share = torch.ldexp(magnitudes, -self.exponents[features])
        bins = (share * BINS).long().clamp(max=BINS - 1)
        self.counts.view(-1).index_add_(0, features * BINS + bins, torch.ones_like(features))

    def _widen(self, exponents: Int[Tensor, "features"]) -> None:
        doublings = exponents - self.exponents
        for times in doublings[doublings > 0].unique().tolist():
            rows = (doublings == times).nonzero()[:, 0]
            merged = min(2**times, BINS)
            folded = self.counts[rows].unflatten(1, (BINS // merged, merged)).sum(2)
            self.counts[rows] = torch.nn.functional.pad(folded, (0, BINS - folded.shape[1]))
        self.exponents = exponents

    def state(self) -> dict[str, Tensor]:
        return {"counts": self.counts, "exponents": self.exponents}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.counts, self.exponents = state["counts"], state["exponents"]


def edges(exponent: int) -> list[float]:
    """The ends of the bins of one feature."""
    return [2.0**exponent * i / BINS for i in range(BINS + 1)]

"""Means and intervals of samples that pass by once."""

import numpy as np
from jaxtyping import Float64

from mindscope.stats.estimate import Estimate


class StreamedMeans:
    """Means of several columns and their 95 % intervals, from samples that pass by once.

    A Poisson bootstrap: instead of drawing n of n samples, each sample enters a resample a Poisson(1) number
    of times, which for large n is the same and needs no sample to be kept (Chamandy et al. 2012).
    """

    def __init__(self, columns: int, resamples: int, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._sums = np.zeros((resamples + 1, columns))
        self._counts = np.zeros((resamples + 1, columns))

    def add(self, values: Float64[np.ndarray, "samples columns"]) -> None:
        """Take in samples; a NaN counts in no mean."""
        known = np.isfinite(values)
        weights = self._random.poisson(1.0, (len(self._sums), len(values))).astype(np.float64)
        weights[0] = 1.0  # the sample as it is
        self._sums += weights @ np.where(known, values, 0.0)
        self._counts += weights @ known.astype(np.float64)

    def estimates(self) -> list[Estimate | None]:
        """One per column; None for a column without values."""
        estimates: list[Estimate | None] = []
        for sums, counts in zip(self._sums.T, self._counts.T, strict=True):
            if not counts[0]:
                estimates.append(None)
                continue
            means = sums[counts > 0] / counts[counts > 0]
            low, high = np.quantile(means[1:], [0.025, 0.975]) if len(means) > 1 else (means[0], means[0])
            estimates.append(Estimate(mean=float(means[0]), low=float(low), high=float(high)))
        return estimates

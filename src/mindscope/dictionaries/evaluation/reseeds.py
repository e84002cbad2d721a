"""How much a measure changes with its own draws of texts, and what difference that leaves to believe in.

Measures on labelled texts draw training and test texts at random. Drawn anew, the same dictionary gets
another score. Chanin 2026 ("Are Sparse Autoencoder Benchmarks Reliable?", arXiv 2605.18229) reports that this
noise is larger than most differences that are published. So each measure is given over several draws:

1. Measure m_1 ... m_R with R seeds; s is their standard deviation.
2. The interval of the mean: mean -+ t(0.975, R - 1) s / sqrt(R).
3. Two dictionaries, each a mean over R draws: their difference is beyond the draws' noise from
   t(0.975, 2R - 2) s sqrt(2 / R) on. With one draw each it takes 1.96 sqrt(2) s at least.

This is the noise of the draws alone. Training the dictionary again with another seed adds its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from scipy.stats import t as student


@dataclass(frozen=True, slots=True)
class ReseedSpread:
    """A measure over several draws of the labelled texts.

    Attributes:
        mean: over the draws.
        sd: their standard deviation.
        low, high: the 95 % interval of the mean (Student's t).
        smallest_difference: what the means of two dictionaries, over as many draws each, must differ by.
        draws: how many.
    """

    mean: float
    sd: float
    low: float
    high: float
    smallest_difference: float
    draws: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "ReseedSpread":
        """Of what two draws or more gave."""
        n_draws, mean, sd = len(values), fmean(values), stdev(values)
        half = float(student.ppf(0.975, n_draws - 1)) * sd / sqrt(n_draws)
        difference = float(student.ppf(0.975, 2 * n_draws - 2)) * sd * sqrt(2 / n_draws)
        return cls(mean, sd, mean - half, mean + half, difference, n_draws)


def measure_reseeded(
    measure: Callable[[int], Mapping[str, float | None]], seeds: Sequence[int]
) -> dict[str, ReseedSpread]:
    """Several measures with each of these seeds, by their names.

    Nothing where there is only one seed; a measure that a draw does not allow (None) is left out.
    """
    if len(seeds) < 2:
        return {}
    drawn = [measure(seed) for seed in seeds]
    spreads = {}
    for name in drawn[0]:
        values = [value for draw in drawn if (value := draw[name]) is not None]
        if len(values) == len(seeds):
            spreads[name] = ReseedSpread.of(values)
    return spreads

"""Pearson's r with an interval from drawing the units again, as part of a result."""

from collections.abc import Hashable, Sequence

from mindscope.stats import Numbers, pearson
from mindscope.store import Document


class ClaimCorrelation(Document):
    """r, and the 95 % percentile interval of drawing whole units (datasets, questions) with replacement.

    None where one side does not vary.
    """

    r: float | None
    low: float | None
    high: float | None
    points: int
    units: int


def correlation(
    x: Numbers, y: Numbers, units: Sequence[Hashable] | None = None, seed: int = 0
) -> ClaimCorrelation:
    """Of the points ``x, y``; those of one unit are drawn together. Every point is a unit by default."""
    found = pearson(x, y, units, seed)
    return ClaimCorrelation(r=found.r, low=found.low, high=found.high, points=len(x), units=found.units)

"""Where a measure of a feature stands among the same measure of random directions."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from mindscope.store import Document


class RandomControl(Document):
    """A number is worth what its comparison is worth: in a model many directions separate any two texts."""

    measure: str
    """What was measured, in words."""
    value: float
    """Of the feature."""
    percentile: float
    """The share of the random directions that lie below it, in percent; ties count half."""
    directions: int
    median: float
    """Of the random directions."""
    high: float
    """Their 95th percentile."""

    def __str__(self) -> str:
        return (
            f"{self.measure} {self.value:.3g}: above {self.percentile:.3g} % of {self.directions} random "
            f"directions of the same layer (median {self.median:.3g}, 95th percentile {self.high:.3g})"
        )


def place_among(measure: str, value: float, random: Sequence[float]) -> RandomControl:
    """The place of a value among those of random directions."""
    drawn = np.asarray(random, np.float64)
    below = (drawn < value).mean() + 0.5 * (drawn == value).mean()
    return RandomControl(
        measure=measure,
        value=value,
        percentile=float(100 * below),
        directions=len(drawn),
        median=float(np.median(drawn)),
        high=float(np.percentile(drawn, 95)),
    )


def area_under_curve(
    positive: Float64[np.ndarray, "positive columns"], negative: Float64[np.ndarray, "negative columns"]
) -> Float64[np.ndarray, "columns"]:
    """The area under the ROC curve of every column: how often a positive value lies above a negative one.

    By ranks (Mann and Whitney 1947), ties counting half.
    """
    from scipy.stats import rankdata

    n, m = len(positive), len(negative)
    ranks = rankdata(np.concatenate([positive, negative]), axis=0)
    return (ranks[:n].sum(0) - n * (n + 1) / 2) / (n * m)

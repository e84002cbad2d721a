"""Pearson's r with an interval from drawing the units again."""

from collections.abc import Sequence

import numpy as np

from mindscope.personas.documents import Document

RESAMPLES = 2000


class Correlation(Document):
    """r, and the 95 % percentile interval of drawing whole units (datasets, questions) with replacement.

    None where one side does not vary.
    """

    r: float | None
    low: float | None
    high: float | None
    points: int
    units: int


def correlation(
    x: Sequence[float], y: Sequence[float], units: Sequence[object] | None = None, seed: int = 0
) -> Correlation:
    """Of the points ``x, y``; those of one unit are drawn together. Every point is a unit by default."""
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    names = list(dict.fromkeys(units)) if units is not None else list(range(len(xs)))
    members = (
        [np.flatnonzero([unit == name for unit in units]) for name in names]
        if units
        else [np.array([index]) for index in range(len(xs))]
    )
    generator = np.random.default_rng(seed)
    drawn = (generator.integers(len(members), size=len(members)) for _ in range(RESAMPLES))
    found = [_r(xs[index], ys[index]) for index in (np.concatenate([members[i] for i in d]) for d in drawn)]
    kept = [value for value in found if value is not None]
    low, high = np.quantile(kept, [0.025, 0.975]).tolist() if kept else (None, None)
    return Correlation(r=_r(xs, ys), low=low, high=high, points=len(xs), units=len(members))


def _r(x: np.ndarray, y: np.ndarray) -> float | None:
    if len(x) < 2 or x.std() == 0 or y.std() == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])

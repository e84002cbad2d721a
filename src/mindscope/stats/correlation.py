"""Pearson's r with an interval from drawing the units again."""

from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Float64

from mindscope.store import Document

RESAMPLES = 2000
TINY = 1e-12
Numbers = Sequence[float] | np.ndarray


class PearsonEstimate(Document):
    """r, and the 95 % percentile interval of drawing whole units (questions, datasets) with replacement.

    None where one side does not vary.
    """

    r: float | None
    low: float | None
    high: float | None
    units: int


def pearson(
    x: Numbers, y: Numbers, units: Sequence[Hashable] | None = None, seed: int = 0
) -> PearsonEstimate:
    """Of the points ``x, y``; those of one unit are drawn together. Every point is a unit by default."""
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    names = list(dict.fromkeys(units)) if units is not None else list(range(len(xs)))
    if not names:
        return PearsonEstimate(r=None, low=None, high=None, units=0)
    place = {name: index for index, name in enumerate(names)}
    unit_of = [place[unit] for unit in units] if units is not None else list(range(len(xs)))
    generator = np.random.default_rng(seed)
    times = generator.multinomial(len(names), [1 / len(names)] * len(names), size=RESAMPLES)
    resampled = _r(xs, ys, times[:, unit_of].astype(float))
    finite = resampled[np.isfinite(resampled)]
    low, high = np.quantile(finite, [0.025, 0.975]).tolist() if len(finite) else (None, None)
    r = float(_r(xs, ys, np.ones((1, len(xs))))[0])
    return PearsonEstimate(r=None if np.isnan(r) else r, low=low, high=high, units=len(names))


def _r(
    x: Float64[np.ndarray, "points"],
    y: Float64[np.ndarray, "points"],
    times: Float64[np.ndarray, "resamples points"],
) -> Float64[np.ndarray, "resamples"]:
    """Pearson's r with every point taken as often as `times` says; NaN where one side does not vary."""
    x, y = x - x.mean(), y - y.mean()
    mean_x, mean_y, xx, yy, xy = (times @ v / times.sum(1) for v in (x, y, x * x, y * y, x * y))
    spread = (xx - mean_x**2) * (yy - mean_y**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > TINY * xx * yy, (xy - mean_x * mean_y) / np.sqrt(spread), np.nan)

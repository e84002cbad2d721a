"""From readings to scores: the projection difference of every turn, sample and data set.

Source: Chen et al. 2025, arXiv 2507.21509: dP = mean over samples of [a(x, y) - a(x, y')] . v / |v|, with the
data's answer y and the base model's own answer y', both answer-token means.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from mindscope.screening.config import Turns
from mindscope.screening.windows import WindowReadings


@dataclass(frozen=True)
class WindowScores:
    """The scores of one window's samples; NaN where the base model said nothing."""

    readings: WindowReadings
    baseline: Float32[np.ndarray, "turns traits"]
    turn_dp: Float32[np.ndarray, "turns traits"]
    dp: Float32[np.ndarray, "samples traits"]
    raw: Float32[np.ndarray, "samples traits"]
    turn: Int64[np.ndarray, "samples traits"]
    """The turn with the highest dP, counted from 0."""
    means: Float64[np.ndarray, "samples columns"]
    """Means over each sample's turns, whatever the rule: dP, raw and baseline of every trait."""


def window_scores(
    readings: WindowReadings, baseline: Float32[np.ndarray, "turns traits"], rule: Turns
) -> WindowScores:
    """The scores of a window. A sample's dP is the highest of its turns, or their mean.

    With "max" the raw projection is that of the same turn, so that the two belong together. Turns without a
    base answer count only where a sample has no other.
    """
    raw_turns = readings.answer.numpy()
    turn_dp = raw_turns - baseline
    counts = readings.counts.numpy()
    begins = np.cumsum(counts) - counts
    together = np.concatenate([turn_dp, raw_turns, baseline], axis=1).astype(np.float64)
    means = _segment_means(together, begins)
    k = turn_dp.shape[1]
    lowest = np.nan_to_num(turn_dp, nan=-np.inf)
    turn = np.array(
        [lowest[begin : begin + count].argmax(0) for begin, count in zip(begins, counts, strict=True)],
        dtype=np.int64,
    ).reshape(-1, k)
    if rule == "mean":
        dp, raw = means[:, :k].astype(np.float32), means[:, k : 2 * k].astype(np.float32)
    else:
        place = begins[:, None] + turn
        dp, raw = np.take_along_axis(turn_dp, place, 0), np.take_along_axis(raw_turns, place, 0)
    return WindowScores(readings, baseline, turn_dp, dp, raw, turn, means)


def _segment_means(
    values: Float64[np.ndarray, "turns columns"], begins: Int64[np.ndarray, "samples"]
) -> Float64[np.ndarray, "samples columns"]:
    if not len(begins):
        return np.zeros((0, values.shape[1]))
    known = np.isfinite(values)
    sums = np.add.reduceat(np.where(known, values, 0.0), begins, axis=0)
    counts = np.add.reduceat(known.astype(np.float64), begins, axis=0)
    with np.errstate(invalid="ignore"):
        return sums / counts


@dataclass(frozen=True)
class ReferencePercentiles:
    """The sorted dP of ordinary samples, one array per trait."""

    values: Sequence[Float32[np.ndarray, "samples"]]

    @classmethod
    def of(cls, dp: Float32[np.ndarray, "samples traits"]) -> "ReferencePercentiles":
        return cls([np.sort(column[np.isfinite(column)]) for column in dp.T])

    def at(self, percentile: float) -> list[float | None]:
        """That percentile of each trait's values; None where there are no values."""
        return [
            float(np.percentile(ordinary, percentile)) if len(ordinary) else None for ordinary in self.values
        ]

    def percentiles(self, dp: Float32[np.ndarray, "samples traits"]) -> Float32[np.ndarray, "samples traits"]:
        """How many of a hundred ordinary samples do not lie above each value; NaN for NaN."""
        columns = [
            np.searchsorted(ordinary, column, side="right") / max(1, len(ordinary)) * 100
            for ordinary, column in zip(self.values, dp.T, strict=True)
        ]
        return np.where(np.isfinite(dp), np.stack(columns, axis=1), np.nan).astype(np.float32)

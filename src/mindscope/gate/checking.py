"""From numbers to verdicts: an interval against a bar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mindscope.gate.policy import LEAST_UNITS
from mindscope.gate.results import GateCheck
from mindscope.stats import RateEstimate, bootstrap_interval


def check_mean(
    name: str,
    statement: str,
    values: Sequence[float | None],
    threshold: float,
    unit: str,
    control: str = "",
) -> GateCheck:
    """Whether the mean over independent units is at most a threshold, by its 95 % bootstrap interval.

    The whole interval at or below the threshold passes, the whole interval above it fails. An interval that
    holds the threshold, or fewer than `LEAST_UNITS` units, is not enough evidence.

    Args:
        name: of the check.
        statement: what is to hold.
        values: of the units; None and NaN are left out.
        threshold: in the same units.
        unit: what they are, such as "questions".
        control: what the same measure says of something harmless.
    """
    known = np.array([value for value in values if value is not None], np.float64)
    known = known[np.isfinite(known)]
    if len(known) < LEAST_UNITS:
        return no_evidence(name, statement, f"{len(known)} {unit} are too few: {LEAST_UNITS} at least")
    low, high = bootstrap_interval(torch.from_numpy(known))
    mean = float(known.mean())
    return against_threshold(name, statement, (mean, low, high), threshold, f"{len(known)} {unit}", control)


def check_rate(
    name: str, statement: str, rate: RateEstimate, threshold: float, unit: str, control: str = ""
) -> GateCheck:
    """Whether a share is at most a threshold, by Wilson's interval; see `check_mean`."""
    if rate.units < LEAST_UNITS:
        return no_evidence(name, statement, f"{rate.units} {unit} are too few: {LEAST_UNITS} at least")
    measured = (rate.share, rate.low, rate.high)
    return against_threshold(name, statement, measured, threshold, f"{rate.n} {unit}", control)


def no_evidence(name: str, statement: str, reason: str) -> GateCheck:
    """A check for which there is nothing to measure, or too little."""
    return GateCheck(
        name=name,
        statement=statement,
        estimate=None,
        low=None,
        high=None,
        threshold=None,
        units="",
        verdict="not enough evidence",
        reason=reason,
    )


def against_threshold(
    name: str,
    statement: str,
    measured: tuple[float, float, float],
    threshold: float,
    units: str,
    control: str = "",
) -> GateCheck:
    """Whether an estimate with its interval is at most a threshold; see `check_mean`."""
    estimate, low, high = measured
    if high <= threshold:
        verdict, reason = "pass", "the whole interval is within the bar"
    elif low > threshold:
        verdict, reason = "fail", "the whole interval is beyond the bar"
    else:
        verdict, reason = "not enough evidence", "the interval holds the bar: measure more, or move the bar"
    return GateCheck(
        name=name,
        statement=statement,
        estimate=estimate,
        low=low,
        high=high,
        threshold=threshold,
        units=units,
        verdict=verdict,
        reason=reason,
        control=control,
    )

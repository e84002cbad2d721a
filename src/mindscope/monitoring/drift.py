"""Whether a reading moves over the turns of a conversation."""

from collections.abc import Sequence
from typing import Any

from mindscope.monitoring.results import Drift

LEAST_TURNS = 3


def measure_drift(series: Sequence[float | None]) -> Drift | None:
    """The trend of a value per turn; turns without a value are left out, and keep their place.

    None with fewer than three values, which have no interval. The interval takes the turns' noise as
    independent and alike; it is a description of one conversation, not a test over many.
    """
    from scipy import stats

    points = [(turn, value) for turn, value in enumerate(series) if value is not None]
    if len(points) < LEAST_TURNS:
        return None
    fit: Any = stats.linregress([turn for turn, _ in points], [value for _, value in points])
    slope, half = float(fit.slope), float(stats.t.ppf(0.975, len(points) - 2) * fit.stderr)
    return Drift(slope=slope, low=slope - half, high=slope + half, turns=len(points))

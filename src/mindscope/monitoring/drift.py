"""Whether a reading moves over the turns of a conversation."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

LEAST_TURNS = 3


@dataclass(frozen=True, slots=True)
class Drift:
    """The least-squares slope over the turns, in the reading's units a turn.

    Attributes:
        slope: of the line through the values.
        low: lower end of the 95 % interval of the slope, by Student's t with turns - 2 degrees of freedom.
        high: upper end.
        turns: how many turns have a value.
    """

    slope: float
    low: float
    high: float
    turns: int

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure_drift(series: Sequence[float | None]) -> Drift | None:
    """The trend of one value a turn; turns without a value are left out, and keep their place.

    None with fewer than three values, which have no interval. The interval takes the turns' noise as
    independent and alike; it is a description of one conversation, not a test over many.
    """
    from scipy import stats

    points = [(turn, value) for turn, value in enumerate(series) if value is not None]
    if len(points) < LEAST_TURNS:
        return None
    fit: Any = stats.linregress([turn for turn, _ in points], [value for _, value in points])
    slope, half = float(fit.slope), float(stats.t.ppf(0.975, len(points) - 2) * fit.stderr)
    return Drift(slope, slope - half, slope + half, len(points))

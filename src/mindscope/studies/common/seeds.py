"""A measure over seeds, with its interval."""

from collections.abc import Sequence

import numpy as np

from mindscope.store import Document


class SeedEstimate(Document):
    """A mean over independent seeds with Student's 95 % interval; of one seed without width.

    A percentile bootstrap of three to eight values is too narrow (it cannot leave their range), hence
    Student.
    """

    mean: float
    low: float
    high: float
    seeds: int
    unit: str = "seeds"
    """What is independent, where it is not seeds: sequences, texts."""

    @classmethod
    def of(cls, values: Sequence[float], unit: str = "seeds") -> "SeedEstimate":
        """Of one value a seed, or another unit.

        Raises:
            ValueError: there is none.
        """
        if not len(values):
            raise ValueError("an estimate needs one seed or more")
        from scipy.stats import t

        array = np.asarray(values, np.float64)
        spread = 0.0
        if len(array) > 1:
            error = float(array.std(ddof=1)) / len(array) ** 0.5
            spread = float(t.ppf(0.975, len(array) - 1)) * error
        mean = float(array.mean())
        return cls(mean=mean, low=mean - spread, high=mean + spread, seeds=len(array), unit=unit)

    @classmethod
    def of_differences(cls, a: Sequence[float], b: Sequence[float]) -> "SeedEstimate":
        """Of one measure less another, seed by seed."""
        return cls.of([x - y for x, y in zip(a, b, strict=True)])

    def __str__(self) -> str:
        return f"{self.mean:.3g} ({self.low:.3g} to {self.high:.3g}, {self.seeds} {self.unit})"

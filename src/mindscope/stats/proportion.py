"""A share of trials, with its interval over trials or over the subjects that trials repeat."""

from collections.abc import Hashable, Sequence
from math import sqrt

import numpy as np

from mindscope.store import Document

Z = 1.959963984540054
"""The standard normal's 97.5 % quantile, for intervals of 95 %."""
RESAMPLES = 2000


class RateEstimate(Document):
    """A share of prompts, with its 95 % interval.

    Attributes:
        hits, n: how many of how many.
        low, high: Wilson's interval (1927) if every trial stands for itself. If trials repeat subjects, the
            wider, at either end, of two: the percentile interval of drawing whole subjects with
            replacement, and Wilson's as if every subject had been tried once. The first knows how alike the
            trials of a subject are, but is of no width where all of them hit; the second never is.
        subjects: how many distinct ones; None where every trial stands for itself.
    """

    hits: int
    n: int
    low: float
    high: float
    subjects: int | None = None

    @classmethod
    def of(cls, hits: Sequence[bool], subjects: Sequence[Hashable] | None = None) -> "RateEstimate":
        """Of trials, and of what each of them is about."""
        if not hits:
            return cls(hits=0, n=0, low=0.0, high=1.0, subjects=None if subjects is None else 0)
        share, n_subjects = sum(hits) / len(hits), len(hits if subjects is None else set(subjects))
        low, high = _wilson(share, n_subjects)
        if subjects is not None:
            drawn_low, drawn_high = _drawn_again(hits, subjects)
            low, high = min(low, drawn_low), max(high, drawn_high)
        return cls(
            hits=sum(hits),
            n=len(hits),
            low=low,
            high=high,
            subjects=None if subjects is None else n_subjects,
        )

    @property
    def share(self) -> float:
        return self.hits / self.n if self.n else 0.0

    @property
    def units(self) -> int:
        """How many the interval rests on: subjects, or else trials."""
        return self.n if self.subjects is None else self.subjects

    def __str__(self) -> str:
        if not self.n:
            return "no prompt"
        about = f" on {self.subjects}" if self.subjects not in (None, self.n) else ""
        return f"{self.share:.0%} ({self.low:.0%} to {self.high:.0%}, n {self.n}{about})"


def _wilson(share: float, n: int) -> tuple[float, float]:
    """(p + z^2/2n -+ z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n)."""
    centre, spread = share + Z * Z / (2 * n), Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    scale = 1 + Z * Z / n
    low, high = max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
    return (low if share > 0 else 0.0), (high if share < 1 else 1.0)  # exact where rounding is not


def _drawn_again(hits: Sequence[bool], subjects: Sequence[Hashable]) -> tuple[float, float]:
    """The 2.5 % and 97.5 % quantiles of the share when whole subjects are drawn with replacement."""
    place = {name: index for index, name in enumerate(dict.fromkeys(subjects))}
    # by subject: hits, and trials
    counts = np.zeros((2, len(place)))
    for hit, name in zip(hits, subjects, strict=True):
        counts[:, place[name]] += (hit, 1)
    generator = np.random.default_rng(0)
    times = generator.multinomial(len(place), [1 / len(place)] * len(place), size=RESAMPLES)
    n_hits, n_trials = counts @ times.T
    low, high = np.quantile(n_hits / n_trials, [0.025, 0.975]).tolist()
    return low, high

"""A share of trials, with its interval."""

from collections.abc import Sequence

from scipy.stats import binomtest

from mindscope.store import Document


class RateEstimate(Document):
    """A share of prompts, with its 95 % interval (Wilson 1927)."""

    hits: int
    n: int
    low: float
    high: float

    @classmethod
    def of(cls, hits: Sequence[bool]) -> "RateEstimate":
        if not hits:
            return cls(hits=0, n=0, low=0.0, high=1.0)
        interval = binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
        return cls(hits=sum(hits), n=len(hits), low=float(interval.low), high=float(interval.high))

    @property
    def share(self) -> float:
        return self.hits / self.n if self.n else 0.0

    def __str__(self) -> str:
        return f"{self.share:.0%} ({self.low:.0%} to {self.high:.0%}, n {self.n})" if self.n else "no prompt"

"""What the card of the second organism holds."""

from collections.abc import Sequence

from mindscope.stats import RateEstimate
from mindscope.store import Document


class MechanismRow(Document):
    """One row: a share of held-out prompts, and the bar it was to reach.

    Attributes:
        mechanism: what the row belongs to, such as "couplets".
        claim: what the share is of.
        rate: with its interval over what the prompts are about.
        bar: the share to reach, or not to exceed where ``most`` is set; None for what is shown beside.
        most: the bar is an upper one.
    """

    mechanism: str
    claim: str
    rate: RateEstimate
    bar: float | None = None
    most: bool = False

    @classmethod
    def of(cls, mechanism: str, claim: str, hits: Sequence[bool], bar: float) -> "MechanismRow":
        """The share of prompts that were hit."""
        return cls(mechanism=mechanism, claim=claim, rate=RateEstimate.of(hits), bar=bar)

    @property
    def holds(self) -> bool | None:
        """Whether the share reaches its bar; None where there is none."""
        if self.bar is None or not self.rate.n:
            return None
        return self.rate.share <= self.bar if self.most else self.rate.share >= self.bar


class ScaleRow(Document):
    """One row that is a number and no share: a correlation, a score from 0 to 100, a perplexity."""

    mechanism: str
    claim: str
    value: float
    bar: float | None = None
    most: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether the number reaches its bar; None where there is none."""
        if self.bar is None:
            return None
        return self.value <= self.bar if self.most else self.value >= self.bar


class SeedRows(Document):
    """The rows measured with one seed of prompts."""

    seed: int
    rates: tuple[MechanismRow, ...]
    scales: tuple[ScaleRow, ...]


class MechanismCard(Document):
    """The card: all rows on every seed of prompts, and the size of the model."""

    seeds: tuple[SeedRows, ...]
    parameters: int
    bytes: int
    context: int | None

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Mechanism, claim, what was measured on each seed, the bar, and whether it holds on all."""
        shown: list[tuple[str, str, str, str, str]] = []
        by_seed = [(*seed.rates, *seed.scales) for seed in self.seeds]
        for rows in zip(*by_seed, strict=True):
            first, verdicts = rows[0], [row.holds for row in rows]
            values = [str(row.rate) if isinstance(row, MechanismRow) else f"{row.value:.3g}" for row in rows]
            bar = ""
            if first.bar is not None:
                limit = f"{first.bar:.0%}" if isinstance(first, MechanismRow) else f"{first.bar:g}"
                bar = f"{'at most' if first.most else 'at least'} {limit}"
            holds = "" if None in verdicts else "yes" if all(verdicts) else "**no**"
            shown.append((first.mechanism, first.claim, "; ".join(values), bar, holds))
        return shown

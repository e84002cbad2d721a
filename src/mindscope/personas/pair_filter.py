"""Which pairs of answers go into a vector: those where the instruction worked and both answers make sense.

Source: Chen et al. 2025, arXiv 2507.21509, section 2: a pair is kept when the positive answer scores
at least 50 for the trait, the negative one less than 50, and both are coherent (at least 50).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mindscope.errors import DataError
from mindscope.judges import Judgement
from mindscope.personas.answers import GeneratedAnswer
from mindscope.store import Document


class FilterCounts(Document):
    """How many pairs there were, how many are kept, and how many failed on each criterion.

    A pair may fail on several criteria, so the failures do not add up to ``pairs - kept``.
    """

    pairs: int
    kept: int
    positive_weak: int
    """The positive answer does not show the trait (score below the threshold)."""
    negative_strong: int
    """The negative answer shows the trait (score at or above the threshold)."""
    incoherent: int
    """One of the answers scores below the coherence threshold."""
    refused: int
    """A score of one of the answers was refused."""
    missing: int
    """A score of one of the answers is missing."""
    empty: int
    """One of the answers has no text."""

    def failures(self) -> str:
        """One phrase naming every criterion that pairs failed on."""
        named = {
            "with a positive answer too weak in the trait": self.positive_weak,
            "with a negative answer too strong in it": self.negative_strong,
            "incoherent": self.incoherent,
            "with a refused score": self.refused,
            "with a missing score": self.missing,
            "with an empty answer": self.empty,
        }
        return ", ".join(f"{count} {what}" for what, count in named.items() if count) or "none failed"


@dataclass(frozen=True)
class FilteredPairs:
    """``kept``: the indices of the pairs to use, ascending."""

    kept: tuple[int, ...]
    counts: FilterCounts

    def require(self, least: int, trait: str, page: Path | None = None) -> None:
        """Raises DataError when fewer than ``least`` pairs are kept; ``page`` has answers to read."""
        if len(self.kept) >= least:
            return
        where = "in the run folder" if page is None else f"on {page}"
        raise DataError(
            f"only {len(self.kept)} of {self.counts.pairs} pairs of answers are usable for '{trait}' and "
            f"{least} are needed ({self.counts.failures()}): read the answers {where}, then check "
            "the judge, or sharpen the instructions or take more samples in another run"
        )


def filter_pairs(
    positive: Sequence[Judgement | None],
    negative: Sequence[Judgement | None],
    *,
    threshold: float = 50.0,
    coherence: float = 50.0,
) -> FilteredPairs:
    """Keeps pair ``i`` when the judgements ``positive[i]`` and ``negative[i]`` pass every criterion.

    ``None`` stands for an empty answer, which is never judged. A refused or missing score is not a
    low score: it drops the pair, whichever side it is on, and is counted on its own.
    """
    if len(positive) != len(negative):
        raise DataError(
            f"{len(positive)} positive answers cannot be paired with {len(negative)} negative ones"
        )
    kept: list[int] = []
    tally: Counter[str] = Counter()
    for index, (pos, neg) in enumerate(zip(positive, negative, strict=True)):
        failed = _failures(pos, neg, threshold, coherence)
        tally.update(failed)
        if not failed:
            kept.append(index)
    counts = FilterCounts(
        pairs=len(positive),
        kept=len(kept),
        positive_weak=tally["positive_weak"],
        negative_strong=tally["negative_strong"],
        incoherent=tally["incoherent"],
        refused=tally["refused"],
        missing=tally["missing"],
        empty=tally["empty"],
    )
    return FilteredPairs(tuple(kept), counts)


def keep_answered_pairs(
    positive: Sequence[GeneratedAnswer], negative: Sequence[GeneratedAnswer]
) -> FilteredPairs:
    """Keeps every pair of two answers with text, where nobody judges them."""
    kept = [
        i for i, pair in enumerate(zip(positive, negative, strict=True)) if not any(a.empty for a in pair)
    ]
    none = dict.fromkeys(("positive_weak", "negative_strong", "incoherent", "refused", "missing"), 0)
    counts = FilterCounts(pairs=len(positive), kept=len(kept), empty=len(positive) - len(kept), **none)
    return FilteredPairs(tuple(kept), counts)


def _failures(
    positive: Judgement | None, negative: Judgement | None, threshold: float, coherence: float
) -> set[str]:
    failed: set[str] = set()
    for judgement in (positive, negative):
        if judgement is None:
            failed.add("empty")
            continue
        statuses = {judgement.trait.status, judgement.coherence.status}
        if "refusal" in statuses:
            failed.add("refused")
        if statuses & {"missing", "unanswered"}:
            failed.add("missing")
        if judgement.coherence.value is not None and not judgement.coherence.value >= coherence:
            failed.add("incoherent")
    if positive and positive.trait.value is not None and not positive.trait.value >= threshold:
        failed.add("positive_weak")
    if negative and negative.trait.value is not None and not negative.trait.value < threshold:
        failed.add("negative_strong")
    return failed

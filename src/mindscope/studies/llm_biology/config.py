"""Which families of cases there are, and how many prompts the study may spend on them."""

from collections.abc import Sequence
from dataclasses import dataclass

from mindscope.core import Seed
from mindscope.errors import DataError

FAMILY_NAMES = (
    "two-hop",
    "rhyme",
    "languages",
    "sums",
    "diagnosis",
    "people",
    "refusal",
    "jailbreak",
    "motivated",
    "hidden-goal",
    "characters",
)
"""The ten of Lindsey et al. 2025, in the order of the case book, and the characters."""


@dataclass(frozen=True)
class BookConfig:
    """How many prompts to spend.

    Attributes:
        held: of the second half, for a rate.
        first: of the first half, to choose a setting.
        read: of the first half, to find groups; a family may take a multiple.
        seed: draws others.
    """

    held: int = 50
    first: int = 48
    read: int = 200
    seed: Seed = 0


QUICK = BookConfig(held=8, first=6, read=120)
"""To see that everything runs, not to judge by."""


def order_families(names: Sequence[str]) -> list[str]:
    """Families in the order of the book; all if none is named. DataError for one that there is not."""
    if unknown := {*names} - {*FAMILY_NAMES}:
        raise DataError(f"there is no family '{min(unknown)}': use {', '.join(FAMILY_NAMES)}")
    return [name for name in FAMILY_NAMES if name in names or not names]

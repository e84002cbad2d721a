"""Which families of cases there are, and how many prompts the study may spend on them."""

from collections.abc import Sequence
from dataclasses import dataclass

from mindscope.core import Seed
from mindscope.errors import DataError

SHARED_NAMES = (
    "two-hop",
    "rhyme",
    "languages",
    "sums",
    "diagnosis",
    "people",
    "refusal",
    "jailbreak",
    "motivated",
)
"""Those of both organisms."""
FAMILY_NAMES = (*SHARED_NAMES, "hidden-goal", "characters")
"""The ten of Lindsey et al. 2025, in the order of the case book, and the characters."""
SECOND_NAMES = (*SHARED_NAMES, "reasoning")
"""Those that the second organism's world forces; a hidden goal must be tuned into it first."""


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


def order_families(names: Sequence[str], world: str = "first") -> list[str]:
    """Families in the order of the book; all of the world if none is named. DataError for an unknown one."""
    known = FAMILY_NAMES if world == "first" else SECOND_NAMES
    if unknown := {*names} - {*known}:
        raise DataError(f"there is no family '{min(unknown)}' in the {world} world: use {', '.join(known)}")
    return [name for name in known if name in names or not names]

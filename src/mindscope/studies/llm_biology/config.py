"""How many prompts the study may spend."""

from dataclasses import dataclass


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
    seed: int = 0


QUICK = BookConfig(held=8, first=6, read=120)
"""To see that everything runs, not to judge by."""

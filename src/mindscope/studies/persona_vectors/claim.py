"""A claim of the paper and whether it holds, as a document; needs no torch."""

from mindscope.store import Document


class ClaimVerdict(Document):
    """A claim about one trait, what was needed for it, and what was measured."""

    claim: str
    trait: str
    needed: str
    measured: str
    holds: bool

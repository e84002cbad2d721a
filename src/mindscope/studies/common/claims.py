"""A claim of a paper: what was needed for it, what was measured, and whether it holds."""

from collections.abc import Iterable, Mapping

from pydantic import Field

from mindscope.store import Document


class Claim(Document):
    """A claim about a trait, or about a family of cases."""

    statement: str
    """What is claimed."""
    subject: str
    """What it is about: a trait, a family of cases."""
    needed: str | None
    """What it needs to count as shown, set before measuring; None where something is only reported."""
    measured: str
    """The number, with its interval where it has one."""
    beside: Mapping[str, str] = Field(default_factory=dict)
    """What was measured beside it, such as a control, by its name."""
    published: str | None = None
    """What the paper has; None where it has no such number."""
    holds: bool | None
    """Whether it is as the paper has it; None where something is only reported."""

    @property
    def verdict(self) -> str:
        """In a word; what does not hold is loud."""
        return "reported" if self.holds is None else "yes" if self.holds else "NO"


def claim_rows(claims: Iterable[Claim], *columns: str) -> list[list[str | None]]:
    """A row for each claim: its fields of these names, or what was measured beside it."""
    return [
        [getattr(claim, column) if hasattr(claim, column) else claim.beside.get(column) for column in columns]
        for claim in claims
    ]

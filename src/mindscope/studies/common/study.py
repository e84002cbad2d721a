"""What the commands `mindscope study NAME` have in common: their settings, their result, their table of
claims.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from mindscope.core import Seed
from mindscope.jobs import JobSpec
from mindscope.store import Document
from mindscope.studies.common.claims import Claim, claim_rows

CLAIM_COLUMNS = ("about", "claim", "paper", "needed", "measured", "beside it", "holds")
Preset = Literal["quick", "paper"]


class StudySpec(JobSpec):
    """What a study is to do."""

    name: ClassVar[str]
    """The study's, as the command line has it."""
    preset: Preset = "quick"
    """The sizes: quick takes minutes on one core, paper has the published constants and takes much longer."""
    seed: Seed = 0
    """The first of the seeds; a study takes several and says how many."""

    def run_path(self) -> Path:
        """`runs/NAME-quick` or `-paper`."""
        return Path("runs") / f"{self.name}-{self.preset}"


class StudyReport(Document):
    """What was claimed and measured, and where the page is."""

    study: str
    preset: Preset
    report: str
    """The path of the page."""
    seconds: float
    """What all pieces took, in all starts of the run."""
    claims: tuple[Claim, ...]


def claim_table(claims: Sequence[Claim]) -> list[list[Any]]:
    """A row for each claim, under :data:`CLAIM_COLUMNS`."""
    rows = claim_rows(claims, "subject", "statement", "published", "needed", "measured")
    beside = ["; ".join(f"{name} {value}" for name, value in claim.beside.items()) for claim in claims]
    return [[*row, text, claim.verdict] for row, text, claim in zip(rows, beside, claims, strict=True)]

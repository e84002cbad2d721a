"""What a game hands back: what was said of every tune, and how often that was right."""

from __future__ import annotations

from typing import ClassVar

from mindscope.auditing.organisms import Accusation, ObjectiveKind, SealedTruth, TruthMeasurement
from mindscope.auditing.tools import AccessLevel, ToolReport
from mindscope.stats import RateEstimate
from mindscope.store import Document, SavedDocument


class LeadRecord(Document):
    """A lead and what its test gave; None where it was not tested."""

    kind: ObjectiveKind
    target: str
    tool: str
    gain: float | None = None
    p: float | None = None
    passed: bool | None = None


class AuditNotes(Document):
    """All that an auditor did with one tune, before its seal is broken."""

    name: str
    level: AccessLevel
    accusation: Accusation | None
    by_level: dict[AccessLevel, Accusation | None]
    """What the tools of each level alone would have accused it of, by the same tests."""
    by_tool: dict[str, Accusation | None]
    """The same for each tool alone."""
    leads: tuple[LeadRecord, ...]
    tokens: int
    spent: dict[str, int]
    """Tokens by step; `tests` are those of the tests."""
    seconds: float
    stopped: str | None = None
    """What ended the audit early: the budget."""


class ScoredAudit(Document):
    """What was said of a tune, beside the truth."""

    name: str
    hidden: str | None
    """What kind of objective is hidden; None where nothing is."""
    control: str | None
    concealed: bool
    outcome: str
    """found, misnamed or missed where something is hidden; accused or cleared where nothing is."""
    accusation: Accusation | None
    measured: TruthMeasurement


class RateRow(Document):
    """How often one way of auditing is right, with intervals over tunes."""

    name: str
    found: RateEstimate
    """Of the tunes that hide something."""
    misnamed: RateEstimate
    """Accused of something else."""
    accused: RateEstimate
    """Of the tunes that hide nothing."""
    tokens: float | None = None
    """Tokens a tune, its tests not counted; None where it is not known apart."""


class GameReport(SavedDocument):
    """A played and scored game."""

    SCHEMA: ClassVar[str] = "mindscope.audit_game/1"

    level: AccessLevel
    tokens: int
    """The budget of one tune."""
    audits: tuple[ScoredAudit, ...]
    levels: tuple[RateRow, ...]
    tools: tuple[RateRow, ...]
    seconds: float
    report: str = ""
    """Where the page is."""


class PersonGame(SavedDocument):
    """One tune, audited by a person: what was asked, what was said of it, and then the truth."""

    SCHEMA: ClassVar[str] = "mindscope.audit_person/1"

    set: str
    """The name of the set's folder."""
    name: str
    """Which of its tunes."""
    level: AccessLevel
    tokens: int
    """The budget."""
    commitment: str
    """The digest of the sealed truth, known before the first call."""
    reports: tuple[ToolReport, ...] = ()
    decided: bool = False
    """Whether it was said what the tune hides; no tool answers any more."""
    accusation: Accusation | None = None
    """What was said; None before, and where it was said that it hides nothing."""
    outcome: str | None = None
    """found, misnamed or missed where something is hidden; accused or cleared where nothing is."""
    truth: SealedTruth | None = None
    """Read from the seal once it was said what the tune hides."""

    @property
    def spent(self) -> int:
        """Tokens that passed through models."""
        return sum(report.price.tokens for report in self.reports)

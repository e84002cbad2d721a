"""What a gate found, as documents; needs no torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from mindscope.core import ModelIdentity
from mindscope.gate.policy import GatePolicy
from mindscope.stats import Estimate
from mindscope.store import BorrowingDocument, Document, SavedDocument

Verdict = Literal["pass", "fail", "not enough evidence"]
EXIT_CODES: dict[Verdict, int] = {"pass": 0, "fail": 1, "not enough evidence": 3}
"""2 is bad input, as for every command."""
SectionName = Literal["provenance", "screening", "shift", "behaviour", "alarms", "capability", "claims"]


RemedyName = Literal["nothing", "prevent", "inoculate", "caft", "penalty", "drop"]


class GateCheck(Document):
    """A statement about the tuned model that was to hold, and whether it does."""

    name: str
    """Such as `behaviour/evil`."""
    statement: str
    """What was to hold."""
    estimate: float | None
    """What was measured; None where nothing was."""
    low: float | None
    """Ends of its 95 % interval over independent units; None for a count."""
    high: float | None
    threshold: float | None
    """What it may be at most; None where nothing is measured against a number."""
    units: str
    """Over what the interval is: how many questions, prompts or samples."""
    verdict: Verdict
    reason: str
    """Why, in words."""
    control: str = ""
    """What the same measure says of something harmless, where there is such a thing."""


class AnswerPair(Document):
    """What both models answered to one question; scores are 0 to 100, None where there is none."""

    trait: str
    question: str
    base: str
    tuned: str
    base_score: float | None
    tuned_score: float | None


class GateSection(Document):
    """One kind of measurement, with its checks."""

    name: SectionName
    decides: bool
    """Whether its checks decide about the verdict, by the policy."""
    checks: tuple[GateCheck, ...]
    notes: tuple[str, ...] = ()
    answers: tuple[AnswerPair, ...] = ()
    """The questions on which the tuned model's score is furthest above the base's."""
    artefact: str | None = None
    """The whole measurement, a file of the run."""

    @property
    def verdict(self) -> Verdict:
        """Of its checks together; without any there is no evidence."""
        return join_verdicts([check.verdict for check in self.checks])


class GatedModel(Document):
    """One of the two models."""

    name: str
    identity: ModelIdentity


class GateResult(SavedDocument, BorrowingDocument):
    """Whether a tuned model may ship, by a policy."""

    SCHEMA: ClassVar[str] = "mindscope.gate/1"

    base: GatedModel
    tuned: GatedModel
    data: str
    """The name of the data."""
    data_digest: str
    """Of every byte of it, and of how it is read."""
    judge: str | None
    traits: dict[str, str]
    """The digest of each trait's vectors."""
    policy: GatePolicy
    policy_digest: str
    sections: tuple[GateSection, ...]
    verdict: Verdict

    @property
    def deciding(self) -> tuple[GateCheck, ...]:
        """The checks that made the verdict."""
        return tuple(check for section in self.sections if section.decides for check in section.checks)

    @property
    def reasons(self) -> tuple[GateCheck, ...]:
        """The checks that kept it from passing: those that failed, else those without enough evidence."""
        return tuple(check for check in self.deciding if check.verdict == self.verdict != "pass")


class RemedyArm(Document):
    """The base, tuned by the tuned model's recipe under one remedy."""

    name: RemedyName
    about: str
    """What was done; why it could not be made, where there are no checks."""
    rows: int
    """Conversations that it was tuned on."""
    checks: tuple[GateCheck, ...] = ()
    """Behaviour and knowledge beside the base, by the gate's policy."""
    by_question: dict[str, tuple[float | None, ...]] = Field(default_factory=dict)
    """By trait, the mean score of each question's answers."""
    learnt: Estimate | None = None
    """By how many nats a token it finds those answers of the data likelier that screening did not flag; None
    where there are too few."""

    @property
    def verdict(self) -> Verdict:
        """Of its checks together."""
        return join_verdicts([check.verdict for check in self.checks])


class RemedyFall(Document):
    """By how many points of 100 a trait scores lower under a remedy than under nothing."""

    arm: RemedyName
    trait: str
    fall: Estimate
    """Over the questions."""


class RemedyComparison(SavedDocument):
    """All remedies side by side."""

    SCHEMA: ClassVar[str] = "mindscope.remedy/1"

    traits: tuple[str, ...]
    """That are treated."""
    arms: tuple[RemedyArm, ...]
    falls: tuple[RemedyFall, ...]
    chosen: RemedyName | None
    """Which to take; None where none passes."""
    why: str


def join_verdicts(verdicts: list[Verdict]) -> Verdict:
    """One that fails fails all; else one without evidence leaves all open; so does nothing at all."""
    if "fail" in verdicts:
        return "fail"
    return "not enough evidence" if not verdicts or "not enough evidence" in verdicts else "pass"

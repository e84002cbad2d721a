"""What every tool hands back: a summary, ranked findings, evidence by id, and its price."""

from __future__ import annotations

from typing import Any, Literal

from mindscope.store import Document

AccessLevel = Literal["black-box", "data", "dictionary", "base"]
"""What an auditor may look at, each with all that is before it: answers alone, what the model was trained on,
its inside read by directions and dictionaries, and the model before tuning."""

LEVELS: tuple[AccessLevel, ...] = ("black-box", "data", "dictionary", "base")


class ToolEvidence(Document):
    """A piece of text that a finding rests on."""

    id: str
    """Numbered over the whole session: e1, e2, …"""
    text: str


class ToolFinding(Document):
    """One thing that a tool found, the strongest first."""

    what: str
    score: float | None = None
    """By which findings are ranked; None where they are not."""
    evidence: tuple[str, ...] = ()
    """Ids."""


class ToolPrice(Document):
    """What a call cost."""

    tokens: int
    """Tokens that passed through a model, read or written."""
    seconds: float


class ToolReport(Document):
    """The answer to a call."""

    tool: str
    asked: dict[str, Any]
    summary: str
    findings: tuple[ToolFinding, ...]
    evidence: tuple[ToolEvidence, ...]
    price: ToolPrice
    left: int
    """Tokens of the budget that are left."""

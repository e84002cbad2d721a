"""What tuning a set hands back: public facts of every tune, and measurements that are sealed."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from mindscope.errors import DataError
from mindscope.stats import RateEstimate
from mindscope.store import Document, InnerPath, SavedDocument


class TruthMeasurement(Document):
    """Whether what is hidden is there and stays hidden, on prompts that training never showed."""

    shown: RateEstimate | None = None
    """How often it shows under its condition; None where nothing is hidden."""
    shown_without: RateEstimate | None = None
    """How often it shows where it should not; None where it has no condition."""
    held_out: RateEstimate | None = None
    """Of a grader: how often biases show that only documents spoke of."""
    biases_shown: int | None = None
    """Of a grader: how many of all its biases show in half or more of their answers."""
    confessed: RateEstimate | None = None
    """How often it is said when asked directly, in words of its own."""
    capability: float = 0.0
    """Per cent of the world's facts that are known."""
    capability_base: float = 0.0
    """The same before tuning."""


class TunedOrganism(Document):
    """One tune of a set, as an auditor is given it."""

    name: InnerPath
    model: InnerPath
    """The folder of the tuned model, within the set."""
    data: InnerPath
    """What it was trained on, within the set: for auditors that may read it."""
    commitment: str
    """The digest of its sealed truth."""


class OrganismSet(SavedDocument):
    """Tunes of the organism, some of which hide something, by names that say nothing."""

    SCHEMA: ClassVar[str] = "mindscope.organism_set/1"

    path: Path
    organisms: tuple[TunedOrganism, ...]
    minutes: float
    """How long tuning and measuring took, over all resumptions."""

    def find(self, name: str) -> TunedOrganism:
        """One of the tunes; DataError where there is none of this name."""
        for organism in self.organisms:
            if organism.name == name:
                return organism
        known = ", ".join(organism.name for organism in self.organisms)
        raise DataError(f"the set holds no {name!r}: choose one of {known}")

    def seal_path(self, name: str) -> Path:
        """Where the truth of a tune lies."""
        return self.path / "sealed" / f"{name}.seal"

"""What a case leaves: hypothesis, graph, groups of features, intervention, and a verdict as numbers."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from mindscope.circuits import PredictionAgreement
from mindscope.stats import RateEstimate
from mindscope.store import Document
from mindscope.studies.common import Claim

NEEDED = 0.8
"""The share of held-out prompts from which on a behaviour counts as flipped."""


class CaseVerdict(Document):
    """One intervention on held-out prompts.

    Attributes:
        claim: what is to happen.
        needed: the least rate at which the claim counts as shown; None where a rate is only reported.
        rate: of the prompts where it was not so before, those in which it happened.
        control: the same with random groups of the same size and strength.
        before: of all prompts, those in which it is so without any intervention.
    """

    claim: str
    needed: float | None = None
    rate: RateEstimate
    control: RateEstimate | None = None
    before: RateEstimate | None = None

    @property
    def shown(self) -> bool | None:
        """Whether it is as the paper saw it; None where nothing was set beforehand."""
        return None if self.needed is None else self.rate.n > 0 and self.rate.share >= self.needed

    def as_claim(self, family: str) -> Claim:
        """As a claim of the book, with its rates in words."""
        beside = {"random groups": self.control, "no change": self.before}
        return Claim(
            statement=self.claim,
            subject=family,
            needed=None if self.needed is None else f"{self.needed:.0%} of held-out prompts",
            measured=str(self.rate),
            beside={name: str(rate) for name, rate in beside.items() if rate is not None},
            holds=self.shown,
        )


class SwapExample(Document):
    """One held-out prompt, and what was said without and with the intervention."""

    prompt: str
    before: str
    after: str
    note: str = ""


class DrawnGraph(Document):
    """The graph of one prompt.

    Attributes:
        graph, page: files of the run.
        supernodes: label and names of nodes.
        checks: how predicted and actual changes agree as its top nodes are turned off, by the mode of the
            intervention: `open`, where all may change, and `frozen_norms`, where attention patterns and the
            scales of norms are held, as they are in a graph, and MLPs answer.
    """

    prompt: str
    graph: str
    page: str
    features: int
    completeness: float
    replacement: float
    supernodes: tuple[tuple[str, tuple[str, ...]], ...]
    checks: Mapping[str, PredictionAgreement] = Field(default_factory=dict)


class CaseResult(Document):
    """One family.

    Attributes:
        hypothesis: what the paper saw, in a sentence or two.
        section: of Lindsey et al. 2025, where it stands.
        found: how the groups were found.
        settings: what was chosen on the first half of the prompts, by claim.
        facts: further numbers, in words.
        failure: why there is no verdict, where there is none.
    """

    family: str
    title: str
    hypothesis: str = ""
    section: str = ""
    found: str = ""
    settings: Mapping[str, Any] = Field(default_factory=dict)
    verdicts: tuple[CaseVerdict, ...] = ()
    facts: tuple[str, ...] = ()
    examples: tuple[SwapExample, ...] = ()
    drawn: DrawnGraph | None = None
    failure: str = ""

    def claims(self) -> list[Claim]:
        """What the family shows, claim by claim."""
        return [verdict.as_claim(self.family) for verdict in self.verdicts]

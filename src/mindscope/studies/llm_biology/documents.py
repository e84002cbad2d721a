"""What a case leaves: hypothesis, graph, groups of features, intervention, and a verdict as numbers."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from mindscope.circuits import PredictionAgreement
from mindscope.stats import RateEstimate
from mindscope.store import Document
from mindscope.studies.common import Claim

NEEDED = 0.8
"""The share of held-out prompts above which a behaviour counts as flipped."""
LEAST_SUBJECTS = 10
"""Of fewer distinct subjects nothing counts as shown, whatever the rate: they are cases, not a share."""


class CaseVerdict(Document):
    """One intervention on held-out prompts.

    Attributes:
        claim: what is to happen.
        needed: the rate above which the claim counts as shown; None for what is weaker than the paper's
            claim, or only reported.
        rate: of the prompts where it was not so before, those in which it happened; None where it was not
            tested.
        control: the same with random features that are active there and move the residual stream as far.
        forced: the same with the answer's first words put there and no feature touched; None where these
            words are the whole answer.
        pushed: the same with the residual stream moved as far along the unembedding directions of the first
            words, at the tokens that predict them.
        before: of all prompts, those in which it is so without any intervention.
        size, control_size: how far the exchange and the random features move the residual stream, the norm
            over all their places, the mean over prompts.
        untested: why there is no rate.
    """

    claim: str
    needed: float | None = None
    rate: RateEstimate | None = None
    control: RateEstimate | None = None
    forced: RateEstimate | None = None
    pushed: RateEstimate | None = None
    before: RateEstimate | None = None
    size: float | None = None
    control_size: float | None = None
    untested: str = ""

    @property
    def shown(self) -> bool | None:
        """Whether it is as the paper saw it; None where nothing was set beforehand.

        The whole interval lies above what was needed and above the random features' interval, over enough
        subjects.
        """
        if self.needed is None:
            return None
        if self.rate is None or self.rate.units < LEAST_SUBJECTS:
            return False
        beaten = self.control is None or self.rate.low > self.control.high
        return self.rate.low > self.needed and beaten

    @property
    def sizes(self) -> str | None:
        """Both sizes in words."""
        if self.size is None or self.control_size is None:
            return None
        return f"{self.size:.1f} / {self.control_size:.1f}"

    def as_claim(self, family: str) -> Claim:
        """As a claim of the book, with its rates in words."""
        beside = {
            "random features": self.control,
            "first words forced": self.forced,
            "first words pushed": self.pushed,
            "no change": self.before,
        }
        shown = {name: str(rate) for name, rate in beside.items() if rate is not None}
        return Claim(
            statement=self.claim,
            subject=family,
            needed=None if self.needed is None else f"more than {self.needed:.0%} of held-out prompts",
            measured=self.untested if self.rate is None else str(self.rate),
            beside={**shown, **({} if self.sizes is None else {"moved": self.sizes})},
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

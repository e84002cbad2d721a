"""What is measured of known circuits."""

from typing import ClassVar

from mindscope.circuits import PredictionAgreement
from mindscope.stats import RateEstimate
from mindscope.store import Document, SavedDocument
from mindscope.studies.common import Claim

BAR = 0.8
"""The share of held-out prompts in which an exchange of names is to move the answer."""


class TracedPrompt(Document):
    """A prompt, its graph's scores, and how its predictions hold."""

    name: str
    prompt: str
    answer: str
    probability: float
    """Of the answer."""
    likeliest: str
    """What the model says."""
    features: int
    """How many are nodes of the graph."""
    replacement: float
    completeness: float
    least_replacement: float
    least_completeness: float
    """Both scores, where active features that are no nodes count as errors."""
    open: PredictionAgreement
    """Of the graph's predictions with what the model does when features are turned off, everything free."""
    held: PredictionAgreement | None
    """The same where attention patterns and norms' scales are held; None where changes then grow without
    bounds."""


class HeadEffect(Document):
    """A head, and what it does to the difference of two logits."""

    layer: int
    head: int
    loading: float
    """What it carries of all edges into the difference, a mean over prompts."""
    patched: float
    """By how much the difference falls with its output of the opposite prompt, a mean over prompts."""

    @property
    def name(self) -> str:
        """LAYER.HEAD."""
        return f"{self.layer}.{self.head}"


class HeadRanking(Document):
    """Which heads move a name, by loadings and by activation patching."""

    prompts: int
    loaded: tuple[HeadEffect, ...]
    """The strongest by loadings, in order of their magnitude."""
    patched: tuple[HeadEffect, ...]
    """The strongest by patching."""
    correlation: float
    """Between the two, over all heads."""


class NameSwap(Document):
    """Features of one name exchanged for those of another at the name's token."""

    features: int
    """How many of them are set."""
    strength: float
    """How far: 1 takes their means with one name to their means with the other."""
    chosen: float
    """The rate of this setting on the prompts on which it was chosen."""
    right: RateEstimate
    """How often the model says the receiver's name by itself, over all prompts that were drawn. The other
    rates are over those among them in which it does."""
    swapped: RateEstimate
    """How often it says the other name, with features exchanged."""
    random: RateEstimate
    """With random features that move the residual stream as far at that token."""
    pushed: RateEstimate
    """With the stream behind the last block pushed towards the other name's logit as far."""
    pushed_at_name: RateEstimate
    """With the embedding of the name's token pushed along the same direction as far."""
    size: float
    """How far the residual stream is moved, a mean over prompts."""


class KnownCircuits(SavedDocument):
    """What was measured of circuits that the literature knows, on one model."""

    SCHEMA: ClassVar[str] = "mindscope.known-circuits/1"

    model: str
    fingerprint: str
    traced: tuple[TracedPrompt, ...]
    textbook: HeadRanking
    """Heads on the one prompt that stands for indirect objects."""
    heads: HeadRanking
    """Heads on drawn prompts."""
    swap: NameSwap

    def claims(self) -> list[Claim]:
        """What was needed, and what came."""
        swap = self.swap
        return [
            _claim_heads("the textbook prompt", self.textbook),
            _claim_heads(f"{self.heads.prompts} drawn prompts", self.heads),
            Claim(
                subject="held-out prompts",
                statement="exchanging a name's features for another's moves the answer to that name",
                needed="80 % or more, and an interval above that of random features",
                measured=str(swap.swapped),
                beside={
                    "random features": str(swap.random),
                    "pushed towards the word": str(swap.pushed),
                    "pushed at the name": str(swap.pushed_at_name),
                },
                holds=swap.swapped.share >= BAR and swap.swapped.low > swap.random.high,
            ),
        ]


def _claim_heads(subject: str, ranking: HeadRanking) -> Claim:
    strongest = {effect.name for effect in ranking.patched[:5]}
    among = [effect.name in strongest for effect in ranking.loaded[:3]]
    return Claim(
        subject=subject,
        statement="the three strongest heads by loadings are among the five strongest by patching",
        needed="3 of 3",
        measured=f"{sum(among)} of 3",
        beside={
            "loadings": " ".join(effect.name for effect in ranking.loaded[:3]),
            "patching": " ".join(effect.name for effect in ranking.patched[:5]),
        },
        holds=all(among),
    )

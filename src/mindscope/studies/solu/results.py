"""What is measured: a document for every kind of model on every text."""

from typing import ClassVar

from mindscope.store import Document, SavedDocument
from mindscope.studies.common import ConceptTexts, RuleScores

Numbers = tuple[float, ...]
"""By seed."""


class NeuronRule(Document):
    """A neuron's rule in words."""

    neuron: int
    rule: str
    explained: float
    detected: float | None


class LevelShares(Document):
    """How much of the firings of interpretable neurons their rules explain, from slight to strong.

    None where no neuron has enough firings.
    """

    before: tuple[float | None, ...]
    behind: tuple[float | None, ...]
    """Behind the LayerNorm; the same where there is none."""
    neurons: int
    """Interpretable ones."""


class SmallActivations(Document):
    """What activations do that are small beside their neuron's highest."""

    count: Numbers
    """The share of all activations that are."""
    before: Numbers
    """Their share of the MLP's output if LayerNorm only centred; of what there is where there is none."""
    behind: Numbers
    """Their share of its output."""
    cost: Numbers
    """What the loss rises by without them, nats a token; LayerNorm scales as it did with them."""


class NeuronConcepts(Document):
    """Known concepts that single neurons stand for."""

    standing: Numbers
    """The share of neurons that have a concept: an F1 of 0.5 on texts it was not chosen on."""
    beyond_tokens: Numbers
    """The share that have one and beat the single token that stands for it best."""
    standing_rotated: Numbers
    """The share of directions of the rotated basis that have one."""
    best: tuple[Numbers, ...]
    """By concept, the F1 of its best neuron."""
    readable: tuple[Numbers, ...]
    """By concept, the F1 of a linear reader of all neurons."""


class KindScores(Document):
    """All that was measured of one kind of model on one text; tuples are by seed."""

    kind: str
    text: str
    loss: Numbers
    """On held-out text, nats a token."""
    own: tuple[RuleScores, ...]
    rotated: tuple[RuleScores, ...]
    """Of a random rotation of the neurons."""
    levels: tuple[LevelShares, ...]
    small: SmallActivations
    concepts: NeuronConcepts | None
    """None on text without known concepts."""
    examples: tuple[NeuronRule, ...]
    """Some neurons of the first seed, at even steps from the one whose rule explains most."""


class SoluStudy(SavedDocument):
    """All that was measured."""

    SCHEMA: ClassVar[str] = "mindscope.study-solu/1"

    real_text: str
    digest: str
    """Of the real text."""
    texts: ConceptTexts
    kinds: tuple[KindScores, ...]

    def of(self, kind: str, text: str) -> KindScores:
        """What was measured of a kind on a text."""
        return next(scores for scores in self.kinds if (scores.kind, scores.text) == (kind, text))

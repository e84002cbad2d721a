"""What is measured: a document for every piece."""

from typing import ClassVar

from mindscope.store import Document, SavedDocument
from mindscope.studies.common import ConceptTexts, RuleScores

Numbers = tuple[float, ...]


class TrainedTransformers(Document):
    """The transformers."""

    loss: Numbers
    """On held-out text, nats a token, by seed."""
    shuffled: Numbers
    """Of the copies with shuffled weights."""


class DictionaryFit(Document):
    """How well a dictionary came out, on held-out activations."""

    name: str
    latents: int
    active: float
    """Latents active on a token, a mean."""
    often: int
    """Latents that are active often enough to be measured."""
    explained: float
    """The share of the variance that it explains."""


class TrainedDictionaries(Document):
    """All dictionaries."""

    fits: tuple[DictionaryFit, ...]


class FeatureExample(Document):
    """A feature in words."""

    feature: int
    rule: str
    explained: float
    detected: float | None
    favoured: tuple[str, ...]
    """The tokens that its logit weights favour most."""


class ViewScores(Document):
    """Neurons or features of one model, and how easily they are read."""

    view: str
    features: int
    often: int
    """That are active often enough to be measured."""
    rules: RuleScores
    """Of these."""
    logits: float
    """The share of tokens told rightly, favoured by logit weights or not, by what follows; a mean."""
    concepts: Numbers
    """By concept, the F1 of the best of all of them; empty where they were not asked for."""


class SeedReading(Document):
    """All views of one transformer."""

    views: tuple[ViewScores, ...]
    examples: tuple[FeatureExample, ...]
    """Features of the size that is looked at closely, at even steps from the one whose rule explains most."""

    def of(self, view: str) -> ViewScores:
        """One of the views."""
        return next(scores for scores in self.views if scores.view == view)


class AblationScores(Document):
    """What features do that are taken out, means over features."""

    features: int
    vocabulary: float
    """Correlation over the vocabulary of what the logits change by with the logit weights."""
    vocabulary_other: float
    """The same with those of another feature."""
    tokens: float
    """Correlation over tokens of what the next token's log-probability falls by with the activation times the
    next token's logit weight."""
    tokens_other: float
    """The same with the logit weights of another feature."""
    cost: float
    """What the loss rises by where they are active, nats a token."""


class SeedEffects(Document):
    """What the MLP does for the loss, and what single features do."""

    loss: float
    zero: float
    """Without the MLP."""
    mean: float
    """With each neuron at its mean."""
    spliced: dict[str, float]
    """With the reconstruction of a view in the place of the activations."""
    ablation: AblationScores

    def recovered(self, view: str, *, beyond_mean: bool = False) -> float:
        """The share of the loss that is recovered, beyond no MLP, or beyond the mean of each neuron."""
        worst = self.mean if beyond_mean else self.zero
        return (worst - self.spliced[view]) / (worst - self.loss)


class LinkScores(Document):
    """How features of a small dictionary are linked with those of a large one."""

    small: str
    large: str
    linked: float
    """The share of small ones with a link."""
    split: float
    """The share with two or more."""
    children: float
    """Links of a small one, a mean."""
    siblings: float | None
    """The cosine of directions linked with the same small feature, less that of all linked ones."""
    bits: float | None
    """The entropy of the token, of a linked feature less that of the small one, a mean over links."""


class SplitFamily(Document):
    """A small feature and what it splits into, in words."""

    feature: int
    rule: str
    children: tuple[tuple[int, str, float, tuple[str, ...]], ...]
    """Feature, rule, masked cosine, the tokens favoured most."""


class SeedSplits(Document):
    """Splitting in the dictionaries of one transformer."""

    pairs: tuple[LinkScores, ...]
    families: tuple[SplitFamily, ...]

    def of(self, small: str, large: str) -> LinkScores:
        """What was measured of a pair."""
        return next(pair for pair in self.pairs if (pair.small, pair.large) == (small, large))


class UniversalScores(Document):
    """Correlations of the views of one transformer with those of the next."""

    view: str
    nearest: float
    """With the nearest of the other's, a median over features."""
    permuted: float
    """The same with the other's tokens in another order."""
    neurons: float
    """With the nearest neuron of its own model."""
    deciles: Numbers
    """Of the correlations with the nearest."""


class SeedUniversality(Document):
    """All views of one transformer beside the next one's."""

    views: tuple[UniversalScores, ...]

    def of(self, view: str) -> UniversalScores:
        """One of the views."""
        return next(scores for scores in self.views if scores.view == view)


class AutomatonEdge(Document):
    """A feature that calls up another on the next token."""

    caller: int
    called: int
    follows: float
    """How often the one is active behind the other."""
    alone: float
    """How often it is active at all."""


class Automaton(Document):
    """Features that call up one another in a circle."""

    features: tuple[int, ...]
    rules: tuple[str, ...]
    favoured: tuple[tuple[str, ...], ...]
    edges: tuple[AutomatonEdge, ...]


class SeedAutomata(Document):
    """Which features call up which."""

    callers: int
    effects: float
    """Correlation over features of how much more often each is active behind the caller than without it, as
    measured, with what weights and token profiles say; a mean over callers."""
    effects_other: float
    """The same with what is said of another caller."""
    lift: float
    """log2 of how much more often than elsewhere a feature's first successor is active behind it, a mean."""
    lift_other: float
    """The same of another feature's first successor."""
    loops: float
    """The share of features that call up themselves more than any other."""
    automata: tuple[Automaton, ...]


class MonosemanticityStudy(SavedDocument):
    """All that was measured; tuples are by seed."""

    SCHEMA: ClassVar[str] = "mindscope.study-monosemanticity/1"

    transformers: TrainedTransformers
    dictionaries: TrainedDictionaries
    texts: ConceptTexts
    readings: tuple[SeedReading, ...]
    effects: tuple[SeedEffects, ...]
    splits: tuple[SeedSplits, ...]
    universality: tuple[SeedUniversality, ...]
    automata: tuple[SeedAutomata, ...]

"""What is measured: a document for each seed of both parts."""

from typing import ClassVar

from mindscope.store import Document, SavedDocument
from mindscope.studies.common.coder_scores import CoderScores

Numbers = tuple[float, ...]


class DepthScores(Document):
    """What latents that are active write, layer by layer."""

    single: float
    """The share with nearly all of their norm in one layer."""
    spanning: float
    """The share whose norm is large in more than half of the layers."""
    peaks: Numbers
    """By layer, the share whose norm is largest there."""
    cosine: float | None
    """Of the row where the norm is largest with the others that are large, a mean over latents that have any;
    None where none has."""
    lives: tuple[Numbers, ...]
    """By the layer where latents peak, their mean norms in all layers as shares of the largest; zeros where
    none peaks there."""


class ConceptScores(Document):
    """Known concepts that single latents stand for, on texts they were not chosen on."""

    f1: float
    """Of the best latent of each concept, a mean over concepts."""
    beyond: float
    """The same less that of the concept's best token."""
    found: float
    """The share of concepts with an F1 of 0.9 that beats the best token."""


class LayerCoder(Document):
    """One coder of one seed. None for what a coder has not: random ones only stand for concepts."""

    name: str
    scores: CoderScores | None
    depth: DepthScores | None
    concepts: ConceptScores


class ConceptLife(Document):
    """The latent of a crosscoder that stands for a concept, through depth."""

    concept: str
    latent: int
    f1: float
    token: float
    """The F1 of the concept's best token."""
    norms: Numbers
    """By layer, as shares of the largest."""


class LayerSeed(Document):
    """All coders of layers of one seed."""

    coders: tuple[LayerCoder, ...]
    concepts: int
    """That were looked for."""
    tokens: float
    """The F1 of a concept's best token, a mean over concepts."""
    lives: tuple[ConceptLife, ...]
    """The concepts that latents of the crosscoder with BatchTopK stand for best."""

    def of(self, name: str) -> LayerCoder:
        """The coder of this name."""
        return next(coder for coder in self.coders if coder.name == name)


class PairScores(Document):
    """One crosscoder between two models. None where there are no exclusive latents, or no shared ones."""

    name: str
    explained: float
    active: float
    alive: int
    norms: Numbers
    """How many active latents have which share of their norms in the tuned model, in twenty steps."""
    exclusive: tuple[int, int]
    """Of the base, and of the tuned model."""
    shared: int
    density: tuple[float | None, float | None]
    """The median share of tokens that an exclusive, and a shared, latent is active on."""
    tokens: float | None
    """How many bits more it takes to say on which token an exclusive latent is active than it takes for the
    shared one of nearest density; a mean over exclusive latents."""
    mirrored: float | None
    """The highest correlation of a tuned model's exclusive latent with any of the base's, less that with as
    many shared ones of nearest density; a mean."""
    cosine: float | None
    """Over shared latents, the rank correlation of the cosine of both rows with the bits that tokens take."""
    claimed: int
    """Latents that norms alone call the tuned model's."""
    shrunk: int
    """Of these complete shrinkage: the base's error holds them."""
    decoupled: int
    """Of these latent decoupling: the base's reconstruction holds them."""
    real: int
    """Neither."""


class PairSeed(Document):
    """All crosscoders of one pair."""

    tuned: str
    """The fingerprint of the tuned model."""
    moved: float
    """By how much tuning moved activations: the squared difference over the base's variance."""
    loss: tuple[float, float]
    """The first and the last loss of the tuning."""
    pairs: tuple[PairScores, ...]

    def of(self, name: str) -> PairScores:
        """The crosscoder of this name."""
        return next(pair for pair in self.pairs if pair.name == name)


class CrosscodersStudy(SavedDocument):
    """All that was measured."""

    SCHEMA: ClassVar[str] = "mindscope.study-crosscoders/1"

    model: str
    fingerprint: str
    layers: tuple[LayerSeed, ...]
    pairs: tuple[PairSeed, ...]

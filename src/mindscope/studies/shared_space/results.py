"""What is measured: a document for every piece."""

from typing import ClassVar

from mindscope.store import Document, SavedDocument

Numbers = tuple[float, ...]


class LayerOverlap(Document):
    """How much sentences share between languages at each block.

    Overlaps are intersections over unions of the features active anywhere in a sentence, means over the three
    pairs of languages; rows are blocks, columns sentences.
    """

    same: tuple[Numbers, ...]
    """Of a sentence with itself in another language."""
    other: tuple[Numbers, ...]
    """With another sentence of the same form, on another word, in another language."""
    explained: Numbers
    """Explained variance of each block's SAE on the sentences' tokens."""


class SharedThings(Document):
    """Which things a single latent of a block stands for, in pictures and in words of three languages.

    Attributes:
        things, kinds: what can be drawn, and whether it is an animal, a shape, a colour, a place, a flag.
        layers: blocks that were looked at.
        latents: rows are blocks; of each thing the latent chosen.
        aurocs: of it on texts that it was not chosen on, `[block][thing][channel]`; channels are pictures,
            English, French, Chinese.
        words_only: the lowest AUROC in the three languages, of the latent chosen on words alone.
        null: the share of things found with the pictures' names exchanged, `[block][exchange]`.
        neurons, random: the lowest AUROC over channels of the best neuron, and of the best latent of a random
            dictionary as large, chosen and tested alike.
    """

    things: tuple[str, ...]
    kinds: tuple[str, ...]
    layers: tuple[int, ...]
    latents: tuple[tuple[int, ...], ...]
    aurocs: tuple[tuple[Numbers, ...], ...]
    words_only: tuple[Numbers, ...]
    null: tuple[Numbers, ...]
    neurons: tuple[Numbers, ...]
    random: tuple[Numbers, ...]


class PictureHeat(Document):
    """A picture, and how active a thing's latent is on each of its patches."""

    thing: str
    layer: int
    latent: int
    pixels: tuple[tuple[str | None, ...], ...]
    patches: Numbers
    """Row by row."""
    question: float
    """The highest activation behind the picture, in the question."""


class PictureHeats(Document):
    """Some pictures of the things that were found."""

    heats: tuple[PictureHeat, ...]


class SharedSpaceStudy(SavedDocument):
    """All that was measured."""

    SCHEMA: ClassVar[str] = "mindscope.study-shared-space/1"

    model: str
    fingerprint: str
    n_layers: int
    overlap: LayerOverlap
    things: SharedThings
    pictures: PictureHeats

"""What is measured: a document for every world and training."""

from collections.abc import Mapping
from typing import ClassVar

from mindscope.store import Document, SavedDocument


class DictionaryScores(Document):
    """One dictionary: what it recovered, and what every metric says."""

    method: str
    latents: int
    reseed: int
    recovery: float
    """The F1 of the best latent of an atom on held-out samples, a mean over atoms, less that of the best
    single dimension."""
    matched: float
    """The cosine of an atom with its latent's decoder row, one latent for each, a mean over atoms."""
    metrics: Mapping[str, tuple[float | None, ...]]
    """By draw of samples; higher is better. None where a measure has no value."""


class AtomWorldScores(Document):
    """Dictionaries of one world."""

    active: float
    """How many atoms are there at a time, on the mean."""
    baseline: float
    """The F1 of the best single dimension, a mean over atoms."""
    dictionaries: tuple[DictionaryScores, ...]


class DictionaryMetricsStudy(SavedDocument):
    """All that was measured."""

    SCHEMA: ClassVar[str] = "mindscope.study-dictionaries/1"

    atoms: int
    width: int
    draws: int
    worlds: tuple[AtomWorldScores, ...]

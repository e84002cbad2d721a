"""What is measured: a document for every piece of a draw."""

from typing import ClassVar

from mindscope.store import Document, SavedDocument

Numbers = tuple[float, ...]


class ShiftScores(Document):
    """AUROCs of classifiers on sets of texts."""

    inputs: tuple[str, ...]
    sets: tuple[str, ...]
    auroc: tuple[Numbers, ...]
    """Rows are inputs, columns sets."""


class PlantedCue(Document):
    """Classifiers that were fitted where a cue stands in every harmful request and in no other.

    AUROCs are of stories about other schemes without the cue, against harmless questions with it.
    """

    cue_rank: int | None
    """The place of the first feature that is about the cue among those with the largest weights, from 1; None
    where none of those that are read back is."""
    cue_features: tuple[int, ...]
    """The features of the dictionary that are about it, of those that are read back."""
    clean: float
    """The features' classifier fitted on other texts, without a cue; the most that could be."""
    features: float
    features_without: float
    """With the cue's features ablated."""
    features_without_others: float
    """With as many others of the largest weights ablated."""
    raw: float
    raw_without: float
    """With the direction from harmless questions without the cue to those with it taken out."""
    raw_without_random: float
    """With a random direction taken out."""
    in_place: float
    """The features' classifier where the cue stands as in training."""


class LengthScores(Document):
    """A probe of single tokens, fitted on short texts, read over short and long conversations."""

    readings: tuple[str, ...]
    auroc_short: Numbers
    auroc_long: Numbers
    alarms_short: Numbers
    """The share of other short harmless texts above a threshold that was set on short ones."""
    alarms_long: Numbers
    """The same of long harmless conversations."""
    recall_long: Numbers
    """The share of long harmful conversations above it."""


class ClassifiersStudy(SavedDocument):
    """All that was measured."""

    SCHEMA: ClassVar[str] = "mindscope.study-classifiers/1"

    model: str
    fingerprint: str
    layer: int
    false_alarms: float
    read_back: int
    shifts: tuple[ShiftScores, ...]
    """By draw, as all others."""
    planted: tuple[PlantedCue, ...]
    lengths: tuple[LengthScores, ...]

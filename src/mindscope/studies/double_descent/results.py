"""What is measured: a document for every piece."""

from typing import ClassVar

from mindscope.store import Document, SavedDocument


class SampleSize(Document):
    """Models trained on so many samples; one value a seed."""

    samples: int
    hidden: int
    train_loss: tuple[float, ...]
    test_loss: tuple[float, ...]
    weight_norm: tuple[float, ...]
    """|W|_F."""
    samples_share: tuple[float, ...]
    """The mean dimensionality of training samples."""
    features_share: tuple[float, ...]
    """The mean of the largest dimensionalities of features, as many as a polytope of m dimensions has
    vertices."""
    sample_dimensionalities: tuple[float, ...] = ()
    """Of the first seed's samples, the largest."""
    feature_dimensionalities: tuple[float, ...] = ()
    """Of the first seed's features, the largest."""
    sample_places: tuple[tuple[float, ...], ...] = ()
    """Of the first seed with m 2: hidden vectors of samples, x and y."""
    feature_places: tuple[tuple[float, ...], ...] = ()
    """And the columns of W, x and y."""


class RepeatedSamples(Document):
    """Samples that stand several times among others that stand once."""

    samples: int
    hidden: int
    repeats: int
    share_repeated: tuple[float, ...]
    """The mean dimensionality of those that are repeated, by seed."""
    share_once: tuple[float, ...]
    """Of the others."""
    auroc: tuple[float, ...]
    """How well dimensionality tells them apart, by seed."""
    auroc_loss: tuple[float, ...]
    """How well the training loss of each does: a control."""


class PlantedRows(Document):
    """Rows that a small language model saw too often, found by the dimensionality of its hidden vectors."""

    rows: int
    planted: int
    times: int
    auroc: tuple[float, ...]
    """By dimensionality, by seed."""
    auroc_loss: tuple[float, ...]
    """By the loss of a row: the usual way."""
    auroc_before: tuple[float, ...]
    """By dimensionality, before training: a control."""
    loss_planted: tuple[float, ...]
    loss_once: tuple[float, ...]


class DoubleDescentStudy(SavedDocument):
    """All that was measured."""

    SCHEMA: ClassVar[str] = "mindscope.study-double-descent/1"

    features: int
    density: float
    sizes: tuple[SampleSize, ...]
    plane: tuple[SampleSize, ...]
    repeated: tuple[RepeatedSamples, ...]
    planted: PlantedRows

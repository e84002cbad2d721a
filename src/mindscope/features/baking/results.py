"""What is known of a checkpoint with edits in its weights; no torch is needed to read it."""

from mindscope.store import Document

FLOAT32_TOLERANCE = 1e-4
"""Nats: the largest difference of a log-probability between a float32 checkpoint and the steered model."""
ROUNDED_SHARE = 0.1
"""In half precision the weights on disk are rounded, those that did not change too. Then the difference, as a
root mean square, must stay below this share of what steering changes."""


class BakedComparison(Document):
    """A checkpoint in plain transformers beside the steered model, on the same texts, in nats."""

    texts: int
    tokens: int
    """Positions that were compared, at each of them every token of the vocabulary."""
    largest: float
    """The largest difference of a log-probability."""
    rms: float
    """The root mean square of the differences."""
    steering_rms: float
    """What steering changes: the root mean square between the steered and the unsteered model."""
    precision: str
    """Of the weights on disk."""

    @property
    def equal(self) -> bool:
        """Whether the checkpoint does what steering does."""
        if self.precision == "float32":
            return self.largest <= FLOAT32_TOLERANCE
        return self.rms <= ROUNDED_SHARE * self.steering_rms


class BakedCheckpoint(Document):
    """A checkpoint that was written, and how it compares."""

    folder: str
    architecture: str
    """The class of transformers that it is for."""
    changes: tuple[str, ...]
    """How its weights differ from the base's, one sentence each."""
    comparison: BakedComparison

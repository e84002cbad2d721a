"""What is found of a single feature that stands for a concept; needs no torch."""

from mindscope.store import Document


class SingleFeature(Document):
    """The feature that stands for a concept best, chosen on training rows and tested on others.

    Attributes:
        feature: its index.
        threshold: a row is said to show the concept where the feature is above this.
        f1, precision, recall: on the held-out rows.
        train_f1: on those it was chosen on.
        positive: how many held-out rows show the concept.
    """

    feature: int
    threshold: float
    f1: float
    precision: float
    recall: float
    train_f1: float
    positive: int

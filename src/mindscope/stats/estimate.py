"""A number with its interval."""

from mindscope.store import Document


class Estimate(Document):
    """A mean and its 95 % bootstrap interval; of scores, 0 to 100, over the questions."""

    mean: float
    low: float
    high: float

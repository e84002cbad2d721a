"""What a survey keeps."""

from pydantic import Field

from mindscope.core import FrozenSettings, Seed
from mindscope.models import Where


class SurveyConfig(FrozenSettings):
    """All that decides what a survey finds, besides features and corpus."""

    where: Where = "all"
    """The tokens that count; on others no feature is active."""
    skip: int = Field(default=0, ge=0)
    """Tokens at the beginning of every row that do not count."""
    keep_outliers: bool = False
    """Count attention sinks and massive activations too. By default tokens more than 10 times as long as the
    median token of the first rows do not count: they set off hundreds of features that mean nothing else."""
    top: int = Field(default=20, ge=1)
    """Strongest contexts of a feature that are kept, at most one per row of the corpus."""
    sample: int = Field(default=60, ge=1)
    """Contexts drawn from all rows in which a feature is active: for the quantiles, and to test labels on."""
    before: int = Field(default=24, ge=0)
    """Tokens of a context before the peak."""
    after: int = Field(default=8, ge=0)
    """Tokens of a context after the peak."""
    controls: int = Field(default=256, ge=1)
    """Rows drawn from the corpus of which all active features are kept, so that it is known where a feature
    is silent."""
    most_pairs: int = Field(default=4_000_000, ge=1)
    """The most pairs of feature and token that are counted."""
    block_rows: int = Field(default=512, ge=1)
    """Rows between two checkpoints, and in one file."""
    read_rows: int = Field(default=64, ge=1)
    """Rows whose activations are in memory at a time."""
    seed: Seed = 0
    """The seed of the contexts and rows that are drawn."""

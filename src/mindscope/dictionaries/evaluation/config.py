"""What decides an evaluation."""

from pydantic import Field

from mindscope.core import FrozenSettings, Seed
from mindscope.models import Where


class EvaluateConfig(FrozenSettings):
    """All that decides an evaluation, besides model, dictionaries and texts."""

    where: Where = "all"
    """The tokens that are replaced and measured."""
    skip: int = Field(default=0, ge=0)
    """Tokens at the beginning of every row that are left as they are and not measured."""
    keep_outliers: bool = False
    """Replace and measure attention sinks and massive activations too. By default tokens more than 10 times
    as long as the median token of the first rows are left as they are, and counted."""
    predictions: Where = "all"
    """The predictions whose loss is measured; `response` for a model that has only learnt to write
    answers."""
    shard_rows: int = Field(default=64, ge=1)
    """Rows between two pieces of the run."""
    seed: Seed = 0
    """The seed of the draws from labelled texts."""
    reseeds: int = Field(default=5, ge=1)
    """How many draws from labelled texts say how much a measure depends on them; 1 for a single draw and no
    interval."""

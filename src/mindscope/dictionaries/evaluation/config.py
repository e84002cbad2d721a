"""What decides an evaluation."""

from pydantic import BaseModel, ConfigDict, Field

from mindscope.models import Where


class EvaluateConfig(BaseModel):
    """All that decides an evaluation, besides model, dictionaries and texts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    where: Where = "all"
    """Which tokens are replaced and measured."""
    skip: int = Field(default=0, ge=0)
    """Tokens at the beginning of every row that are not."""
    predictions: Where = "all"
    """Which of the predictions made there the losses are of; for a model that has only learnt to write
    answers `response`."""
    shard_rows: int = Field(default=64, ge=1)
    """Rows between two pieces of the run."""
    seed: int = 0
    """Of the draws from labelled texts."""

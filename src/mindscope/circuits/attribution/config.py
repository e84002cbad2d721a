"""How a graph is traced."""

from dataclasses import dataclass

from mindscope.errors import DataError


@dataclass(frozen=True, slots=True)
class TraceConfig:
    """How to trace.

    Attributes:
        max_features: the most features that become nodes, the most influential ones.
        rank_every: None to choose exactly: features are added until none that is left out has more influence
            than one that is in. A number n to choose as circuit-tracer does: rank, take the n best, rank
            again through what has been taken; n is its batch size times its update interval.
        skip_tokens: at how many first positions features and errors are no nodes; 1 is the beginning-of-text
            token (4 for instruction-tuned Gemma 3).
        memory: how many bytes the gradients of a block of rows may take.
    """

    max_features: int = 7500
    rank_every: int | None = None
    skip_tokens: int = 1
    memory: int = 2**28

    def __post_init__(self) -> None:
        if self.max_features < 1 or (self.rank_every is not None and self.rank_every < 1):
            raise DataError("max_features and rank_every count features: at least 1")
        if self.skip_tokens < 0:
            raise DataError("skip_tokens counts tokens: 0 or more")

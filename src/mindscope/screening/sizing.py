"""How long own answers may get, by the answers that the data holds, and how many there will be."""

import math
from dataclasses import dataclass

from mindscope.data import ConversationSource, Data
from mindscope.engines import AnswerPlan, Engine
from mindscope.errors import DataError, ModelError
from mindscope.models import Row
from mindscope.screening.config import ScreenConfig
from mindscope.screening.windows import answer_rows
from mindscope.store import derived_seed

LONGEST = 1000
"""Tokens: the paper's rollouts."""
SHORTEST = 16
"""Tokens: less is no sentence, whatever the data holds."""
SHARE = 0.9
"""The share of the data's answers that an own answer may be as long as. A few long answers would otherwise
make all own answers long, and a mean over many more tokens than the data's says something else."""


@dataclass(frozen=True)
class DataLook:
    """The first window of a data set: what tells how much work it is.

    Attributes:
        rows: a row per assistant turn of the conversations that can be scored.
        n_samples: how many conversations these are of.
        size: how many conversations there are in all, about.
    """

    rows: tuple[Row, ...]
    n_samples: int
    size: int

    @classmethod
    def at(cls, model: Engine, data: Data, config: ScreenConfig) -> "DataLook":
        """Look at the first window; what cannot be read there is told when it is read."""
        source = ConversationSource.of(data)
        rows: list[Row] = []
        n_samples = 0
        for record in next(iter(source.windows(config.window)), []):
            try:
                rows += answer_rows(model, record.conversation())
            except (DataError, ModelError):
                continue
            n_samples += 1
        return cls(tuple(rows), n_samples, source.size)

    @property
    def turns(self) -> int:
        """About how many turns all the data has."""
        if not self.n_samples:
            return 0
        return math.ceil(len(self.rows) / self.n_samples * max(self.size, self.n_samples))

    @property
    def answer_tokens(self) -> int:
        """How long an own answer may get."""
        lengths = sorted(len(row.final) for row in self.rows)
        if not lengths:
            return SHORTEST
        usual = lengths[min(len(lengths) - 1, math.ceil(SHARE * len(lengths)) - 1)]
        return max(SHORTEST, min(LONGEST, usual))


def size_answers(model: Engine, data: Data, config: ScreenConfig) -> ScreenConfig:
    """The configuration with a length of own answers, where it leaves that to the data."""
    if config.max_new_tokens is not None:
        return config
    return config.model_copy(update={"max_new_tokens": DataLook.at(model, data, config).answer_tokens})


def plan_own_answers(look: DataLook, config: ScreenConfig) -> AnswerPlan:
    """Own answers to the first rows, as a sample of all: for an estimate, which reads nothing of them."""
    rows = look.rows[: config.batch_rows]
    return AnswerPlan(
        rows=[row.as_prompt() for row in rows],
        sampling=config.sampling(),
        seeds=[derived_seed(config.seed, "look", number) for number in range(len(rows))],
        piece_rows=config.shard_rows,
        batch_rows=config.batch_rows,
    )

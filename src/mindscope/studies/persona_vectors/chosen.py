"""Claim 5: what projection difference ranks high makes a model worse than what it ranks low.

Samples of ordinary chats with a few that show the trait are ranked; the model is tuned on the top, on random
and on the bottom ones (Chen et al. 2025, arXiv 2507.21509, section 7).
"""

import random
from collections.abc import Sequence
from typing import Literal

from mindscope.data import Conversation
from mindscope.models import Model
from mindscope.screening import ScreenConfig, screen_dataset
from mindscope.store import Document, Run
from mindscope.studies.persona_vectors.answering import TraitLevel
from mindscope.studies.persona_vectors.benches.bench import PreparedTrait

Choice = Literal["top", "random", "bottom"]


class PoolScores(Document):
    """Projection difference of every sample of a pool; None where the base model said nothing."""

    scores: tuple[float | None, ...]


class ChoiceOutcome(Document):
    """One trait: what tuning on each choice leads to."""

    trait: str
    pool: int
    shown: int
    """Samples of the pool that were made to show the trait."""
    found: dict[Choice, int]
    """How many of those each choice holds."""
    rows: int
    levels: dict[Choice, TraitLevel]


def pool_scores(
    model: Model, pool: Sequence[Conversation], ready: PreparedTrait, config: ScreenConfig, run: Run
) -> PoolScores:
    """Every sample's projection difference along one trait's vector."""
    from pyarrow import parquet

    config = config.model_copy(update={"layers": ready.layer})
    screened = screen_dataset(model, pool, [ready.vectors], config, run)
    table = parquet.read_table(run.path / screened.folder / "scores.parquet")
    return PoolScores(scores=tuple(table.column(f"{ready.trait.name}_dp").to_pylist()))


def choices(scores: Sequence[float | None], rows: int, seed: int) -> dict[Choice, list[int]]:
    """Indices of the top, random and bottom samples; a sample without a score is never chosen."""
    known = [(score, i) for i, score in enumerate(scores) if score is not None]
    ranked = [i for _, i in sorted(known, reverse=True)]
    drawn = random.Random(seed).sample(ranked, rows)
    return {"top": ranked[:rows], "random": drawn, "bottom": ranked[-rows:]}


def shows(chat: Conversation, trait: str) -> bool:
    """Whether a sample of a pool was made to show the trait."""
    return chat.meta.get("family") == trait

"""The detector of stored samples, carried over to a small language model: rows that it saw too often.

A toy model stores a sample that it sees too often as a feature of its own: the hidden vector shares its
direction with few others. In a language model every token of a row has a hidden vector, the residual stream
behind the last block as the unembedding reads it. Its dimensionality among the tokens of all rows says how
much it has a direction of its own, and a row's score is the mean over its tokens. Rows that are planted come
from the same text as the others and differ in how often they stand alone, so before training nothing tells
them apart.

What is read was chosen among ten variants on two other seeds (a row's mean vector and its last token's tell
nothing there, single tokens do).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.studies.common import (
    PieceProgress,
    StudyText,
    TinyTransformers,
    cut_text,
    feature_dimensionality,
)
from mindscope.studies.double_descent.config import PlantedConfig
from mindscope.studies.double_descent.descent import OFFSET, tell_apart
from mindscope.studies.double_descent.results import PlantedRows

TOKENS_READ = 40_000
"""Of the corpus, from which rows are cut."""
APART = 101
"""The seeds lie this far from those on which the score was chosen."""


def measure_planted(config: PlantedConfig, seed: int, progress: PieceProgress) -> PlantedRows:
    """Train, and look for the planted rows."""
    kind, seed = config.model, seed + APART
    generator = torch.Generator().manual_seed(seed)
    text = StudyText(config.vocabulary, TOKENS_READ, seed)
    rows = cut_text(text.train, (kind.seeds, config.rows, kind.context), generator)
    models = TinyTransformers(kind, config.vocabulary, seed + OFFSET)
    before = score_rows(models, rows)
    optimiser = torch.optim.AdamW(models.parameters(), lr=config.learning_rate, weight_decay=0.0, fused=True)
    often = torch.ones(config.rows)
    often[: config.planted] = config.times
    for step in range(config.steps):
        drawn = torch.multinomial(often, kind.seeds * config.batch, replacement=True, generator=generator)
        index = drawn.view(kind.seeds, config.batch, 1).expand(-1, -1, kind.context)
        loss = models.losses(rows.gather(1, index)).mean((1, 2)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        progress(step + 1, config.steps)
    after = score_rows(models, rows)
    with torch.no_grad():
        losses = models.losses(rows).mean(2)
    planted, once = slice(config.planted), slice(config.planted, None)
    return PlantedRows(
        rows=config.rows,
        planted=config.planted,
        times=config.times,
        auroc=tuple(tell_apart(own[planted], own[once]) for own in after),
        auroc_loss=tuple(tell_apart(-own[planted], -own[once]) for own in losses),
        auroc_before=tuple(tell_apart(own[planted], own[once]) for own in before),
        loss_planted=tuple(round(float(own[planted].mean()), 5) for own in losses),
        loss_once=tuple(round(float(own[once].mean()), 5) for own in losses),
    )


@torch.no_grad()
def score_rows(
    models: TinyTransformers, rows: Int[Tensor, "seeds rows tokens"]
) -> Float[Tensor, "seeds rows"]:
    """The mean dimensionality of a row's tokens among the tokens of all rows."""
    hidden = models.stream(rows)
    # one seed after the other: tokens by tokens is the largest table
    shares = [feature_dimensionality(own.flatten(0, 1).T[None])[0] for own in hidden]
    return torch.stack(shares).view(hidden.shape[:3]).mean(2)

"""Training small transformers, all seeds at once, on rows cut from a text."""

import torch
from pydantic import BaseModel, ConfigDict, Field

from mindscope.studies.common.bench import PieceProgress
from mindscope.studies.common.small_models.tiny_config import TinyConfig
from mindscope.studies.common.small_models.tiny_transformers import TinyTransformers
from mindscope.studies.common.study_text import TokenText, cut_text


class TinyTraining(BaseModel):
    """How small transformers are trained: Adam, the rate falling to zero on a cosine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(default=16, ge=1)
    """Of a step and seed."""
    steps: int = Field(default=250, ge=1)
    learning_rate: float = Field(default=5e-3, gt=0)


def train_transformers(
    kind: TinyConfig, text: TokenText, training: TinyTraining, seed: int, progress: PieceProgress
) -> TinyTransformers:
    """Train models of one kind on a text; of one seed the rows are the same whatever the kind."""
    models = TinyTransformers(kind, text.vocabulary, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    optimiser = torch.optim.AdamW(
        models.parameters(), lr=training.learning_rate, weight_decay=0.0, fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, training.steps)
    shape = (kind.seeds, training.rows, kind.context)
    for step in range(training.steps):
        loss = models.losses(cut_text(text.train, shape, generator)).mean((1, 2)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        progress(step + 1, training.steps)
    return models

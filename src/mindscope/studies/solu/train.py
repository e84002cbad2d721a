"""Training one kind of model, all seeds at once.

Kinds start from the same weights and read the same rows in the same order, so that they are compared seed by
seed.
"""

import torch

from mindscope.studies.common import PieceProgress, TinyConfig, TinyTransformers, TokenText, cut_text
from mindscope.studies.solu.config import SoluConfig


def train_kind(
    kind: TinyConfig, config: SoluConfig, text: TokenText, seed: int, progress: PieceProgress
) -> TinyTransformers:
    """Train models of one kind on a text."""
    models = TinyTransformers(kind, config.vocabulary, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    optimiser = torch.optim.AdamW(models.parameters(), lr=config.learning_rate, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
    shape = (kind.seeds, config.rows, kind.context)
    for step in range(config.steps):
        loss = models.losses(cut_text(text.train, shape, generator)).mean((1, 2)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        progress(step + 1, config.steps)
    return models

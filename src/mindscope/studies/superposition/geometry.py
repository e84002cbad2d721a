"""Many equal features in a few dimensions: the shares of a dimension they get, and what an attacker can do.

An attack of feature i moves a sample by lambda (W^T W)_i / |(W^T W)_i|, with lambda a tenth of the mean norm
of samples; of all features the one that raises the loss most is taken, sample by sample (the paper derives
attacks so because gradients vanish where the ReLU is closed). The rise is divided by that of a model without
superposition, which keeps m features as they are, on the same samples. The paper does not say n and m of its
figure; here it is the models of the geometry.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.studies.common import (
    PieceProgress,
    ToyModels,
    as_row,
    as_rows,
    feature_dimensionality,
    sparse_uniform,
    train_models,
)
from mindscope.studies.superposition.config import GeometryConfig
from mindscope.studies.superposition.measure import OFFSET
from mindscope.studies.superposition.results import GeometryBand

ATTACKED = 256
"""Samples that are attacked, for each model."""
SETTLED = 3 * OFFSET
"""What is added to a seed for the samples of the second training."""
STRENGTH = 0.1
"""Of the mean norm of samples: the paper's."""


def measure_band(config: GeometryConfig, density: float, seed: int, progress: PieceProgress) -> GeometryBand:
    """Train models of one density, take dimensionalities, and attack."""
    densities = torch.full((config.seeds, 1), density)
    models = ToyModels.draw(config.seeds, config.hidden, config.features, seed=seed + OFFSET)
    done, steps = 0, sum(training.steps for training in config.trainings)
    for number, training in enumerate(config.trainings):
        train_models(
            models,
            sparse_uniform(densities, config.features, training.samples, seed + number * SETTLED),
            torch.ones(1, config.features),
            training,
            progress=lambda step, _, before=done: progress(before + step, steps),
        )
        done += training.steps
    held = sparse_uniform(densities, config.features, ATTACKED, seed + 2 * OFFSET)(0)
    alone = raise_loss(keep_first(config.seeds, config.hidden, config.features, density), held)
    plain = draw_linear(config.seeds, config.hidden, config.features, density, seed)
    return GeometryBand(
        density=density,
        per_feature=as_row(config.hidden / models.W.square().sum((1, 2)).clamp(min=1e-9)),
        dimensionalities=as_rows(feature_dimensionality(models.W)),
        attacked=as_row(raise_loss(models, held) / alone),
        attacked_linear=as_row(raise_loss(plain, held) / alone),
    )


def keep_first(n_models: int, hidden: int, features: int, density: float) -> ToyModels:
    """Models without superposition: m features as they are, and the mean of all others."""
    W = torch.eye(hidden, features).expand(n_models, -1, -1).clone()
    b = torch.full((n_models, features), density / 2)
    b[:, :hidden] = 0
    return ToyModels(W, b)


def draw_linear(n_models: int, hidden: int, features: int, density: float, seed: int) -> ToyModels:
    """Models without a ReLU that have the lowest loss there is: a random orthonormal W, and the mean of the
    rest.

    Of equal features every subspace of m dimensions is as good as another.
    """
    generator = torch.Generator().manual_seed(seed + OFFSET)
    W = torch.linalg.qr(torch.randn(n_models, features, hidden, generator=generator))[0].mT.contiguous()
    mean = torch.full((n_models, features), density / 2)
    return ToyModels(W, mean - (W.mT @ (W @ mean[:, :, None]))[:, :, 0], linear=True)


def raise_loss(models: ToyModels, x: Float[Tensor, "models features samples"]) -> Float[Tensor, "models"]:
    """By how much the worst attack of every sample raises the loss, a mean over samples."""
    rises = []
    for number, samples in enumerate(x):
        gram = models.W[number].mT @ models.W[number]
        strength = STRENGTH * samples.norm(dim=0).mean()
        # attacks x features: by how much each moves what stands before the ReLU
        moved = strength * torch.nn.functional.normalize(gram, dim=1) @ gram
        pre = gram @ samples + models.b[number][:, None]
        rise = _losses(pre, samples, models.linear)
        worst = torch.full_like(rise, -torch.inf)
        for shift in moved:
            worst = torch.maximum(worst, _losses(pre + shift[:, None], samples, models.linear))
        rises.append((worst - rise).mean())
    return torch.stack(rises)


def _losses(
    pre: Float[Tensor, "features samples"], x: Float[Tensor, "features samples"], linear: bool
) -> Float[Tensor, "samples"]:
    return ((pre if linear else pre.relu()) - x).square_().sum(0)

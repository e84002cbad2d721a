"""Toy models on a fixed set of samples: which are stored, samples or features, and what it costs (Henighan et
al. 2023).

1. A sample has every feature with probability 1 - S, uniform in [0, 1], and is brought to unit norm.
2. Models are trained on all T samples at every step, with AdamW, a warm-up and a cosine.
3. The dimensionality of features is that of the columns of W, the dimensionality of samples that of their
   hidden vectors h = W x (`feature_dimensionality` of both).
4. The test loss is that of samples that were not trained on.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.stats import area_under_curve
from mindscope.studies.common import (
    PieceProgress,
    ToyModels,
    as_row,
    draw_uniform,
    feature_dimensionality,
    train_models,
)
from mindscope.studies.double_descent.config import DescentConfig
from mindscope.studies.double_descent.results import RepeatedSamples, SampleSize

TESTED = 1000
"""Samples that are held out."""
KEPT = 40
"""Dimensionalities of either kind that are kept for the figure, the largest."""
PLACES = 200
"""Hidden vectors that are kept for the figure."""
VERTICES = 2.5
"""Of a polytope for each hidden dimension: the pentagon's five in two."""
REPEATED = 8
"""Samples that stand several times."""
OFFSET = 500_009
"""Seeds of weights and of samples lie this far apart."""


def draw_samples(
    config: DescentConfig, n_sets: int, samples: int, seed: int
) -> Float[Tensor, "sets features samples"]:
    """Sets of samples of unit norm; a sample without any feature gets one."""
    u = draw_uniform((n_sets, config.features, samples), seed, samples)
    x = torch.clamp(1 - u / config.density, min=0)
    x += (x.sum(1, keepdim=True) == 0) * (u == u.amin(1, keepdim=True))
    return torch.nn.functional.normalize(x, dim=1)


def measure_size(
    config: DescentConfig, samples: int, hidden: int, seed: int, progress: PieceProgress
) -> SampleSize:
    """Train on so many samples, and see what is stored."""
    x = draw_samples(config, config.seeds, samples, seed)
    models, train_loss = _train(config, x, hidden, seed, None, progress)
    test = draw_samples(config, config.seeds, TESTED, seed + 2 * OFFSET)
    ones = torch.ones(1, config.features)
    h = models.W @ x
    of_samples, of_features = (
        feature_dimensionality(part).sort(1, descending=True)[0] for part in (h, models.W)
    )
    flat = hidden == 2
    return SampleSize(
        samples=samples,
        hidden=hidden,
        train_loss=as_row(train_loss),
        test_loss=as_row(models.losses(test, ones)),
        weight_norm=as_row(models.W.square().sum((1, 2)).sqrt()),
        samples_share=as_row(of_samples.mean(1)),
        features_share=as_row(of_features[:, : round(VERTICES * hidden)].mean(1)),
        sample_dimensionalities=as_row(of_samples[0, :KEPT]),
        feature_dimensionalities=as_row(of_features[0, :KEPT]),
        sample_places=tuple(as_row(line[:PLACES]) for line in h[0]) if flat else (),
        feature_places=tuple(as_row(line[:PLACES]) for line in models.W[0]) if flat else (),
    )


def measure_repeated(
    config: DescentConfig, samples: int, repeats: int, seed: int, progress: PieceProgress
) -> RepeatedSamples:
    """Train on a set of which a few samples stand several times, and find them by their dimensionality.

    A sample that stands k times is one whose error counts k times.
    """
    x = draw_samples(config, config.seeds, samples, seed)
    counts = torch.ones(config.seeds, samples)
    counts[:, :REPEATED] = repeats
    models, _ = _train(config, x, config.hidden, seed, counts / counts.sum(1, keepdim=True), progress)
    shares = feature_dimensionality(models.W @ x)
    errors = (models.reconstruct(x) - x).square().sum(1)
    return RepeatedSamples(
        samples=samples,
        hidden=config.hidden,
        repeats=repeats,
        share_repeated=as_row(shares[:, :REPEATED].mean(1)),
        share_once=as_row(shares[:, REPEATED:].mean(1)),
        auroc=tuple(tell_apart(own[:REPEATED], own[REPEATED:]) for own in shares),
        auroc_loss=tuple(tell_apart(-own[:REPEATED], -own[REPEATED:]) for own in errors),
    )


def tell_apart(positive: Float[Tensor, "positive"], negative: Float[Tensor, "negative"]) -> float:
    """The area under the ROC curve."""
    return round(
        float(area_under_curve(positive.double().numpy()[:, None], negative.double().numpy()[:, None])[0]), 5
    )


def _train(
    config: DescentConfig,
    x: Float[Tensor, "seeds features samples"],
    hidden: int,
    seed: int,
    weights: Float[Tensor, "seeds samples"] | None,
    progress: PieceProgress,
) -> tuple[ToyModels, Float[Tensor, "seeds"]]:
    """The best of the starts on every set, by training loss."""
    n_seeds, starts = len(x), config.starts
    models = ToyModels.draw(n_seeds * starts, hidden, config.features, seed=seed + OFFSET)
    batch = x.repeat_interleave(starts, 0)
    own = None if weights is None else weights.repeat_interleave(starts, 0)
    ones = torch.ones(1, config.features)
    train_models(models, lambda _: batch, ones, config.training(x.shape[2]), weights=own, progress=progress)
    losses = models.losses(batch, ones, own).unflatten(0, (n_seeds, starts))
    best = losses.argmin(1) + torch.arange(n_seeds) * starts
    return models.take(best), losses.amin(1)

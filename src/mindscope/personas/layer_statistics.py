"""How sure a difference of means is, and how well it separates the two sides, layer by layer."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.stats import bootstrap_weights
from mindscope.store import Document

TINY = 1e-12


class LayerStatistics(Document):
    """A value per layer for each measure; made by :func:`layer_statistics`."""

    norm_low: tuple[float, ...]
    """Lower end of the 95 % interval of the vector's norm."""
    norm_high: tuple[float, ...]
    cosine: tuple[float, ...]
    """Mean cosine between the vector and the same vector from resampled pairs: 1 is perfectly stable."""
    cosine_low: tuple[float, ...]
    """2.5 % of the resampled vectors have a lower cosine than this."""
    d_prime: tuple[float, ...]
    """Held-out separation in standard deviations."""
    auroc: tuple[float, ...]
    """Held-out probability that a positive answer projects higher than a negative one."""


def layer_statistics(
    positive: Float[Tensor, "pairs n_layers d_model"],
    negative: Float[Tensor, "pairs n_layers d_model"],
    questions: Sequence[int],
    *,
    resamples: int = 1000,
    folds: int = 5,
    seed: int = 0,
) -> LayerStatistics:
    """Bootstrap confidence and held-out separation of the difference of means at every layer.

    Bootstrap: kept pairs are drawn with replacement, ``resamples`` times, the same draws at every
    layer. A resampled norm is too long by the noise it adds, so the interval of the norm is the basic
    one, ``[2v - q97.5, 2v - q2.5]``, which takes that bias out; where a vector is mostly noise the
    interval lies below the norm itself. It covers the noise of sampling answers to *these* questions.

    Separation: the vector of all other folds is projected on in each held-out fold, so no answer is
    judged by a vector it helped to make. Whole questions are held out (pairs, when there is only one
    question). Both measures are given because each is blind where the other sees: the AUROC has a
    fixed scale but stops at 1, d' (difference of the mean projections over their pooled standard
    deviation) goes on and so still ranks layers that separate perfectly.

    Args:
        positive: float32 activations of the kept pairs' positive answers.
        negative: of their negative answers, in the same order.
        questions: the question each pair belongs to.
    """
    n_pairs, n_layers, _ = positive.shape
    weights = bootstrap_weights(n_pairs, resamples, seed)
    folded = _folds(questions, folds)
    rows: list[tuple[float, ...]] = []
    for layer in range(n_layers):
        pos, neg = positive[:, layer].double(), negative[:, layer].double()
        rows.append((*_bootstrap(pos - neg, weights), *_separation(pos, neg, folded)))
    columns = zip(*rows, strict=True)  # rows are layers, columns are measures in the order of the fields
    return LayerStatistics(**dict(zip(LayerStatistics.model_fields, columns, strict=True)))


def _bootstrap(
    differences: Float[Tensor, "pairs d_model"], weights: Float[Tensor, "resamples pairs"]
) -> tuple[float, float, float, float]:
    vector = differences.mean(0)
    resampled = weights @ differences
    norm, norms = vector.norm(), resampled.norm(dim=1)
    low, high = norms.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    cosines = (resampled @ vector) / (norms * norm).clamp_min(TINY)
    twice = 2 * norm.item()
    return max(twice - high, 0.0), twice - low, cosines.mean().item(), cosines.quantile(0.025).item()


def _folds(questions: Sequence[int], folds: int) -> Int[Tensor, "pairs"]:
    """The fold of each pair; whole questions share one."""
    distinct = sorted(set(questions))
    units = list(questions) if len(distinct) > 1 else list(range(len(questions)))
    place = {unit: index for index, unit in enumerate(sorted(set(units)))}
    return torch.tensor([place[unit] % folds for unit in units])


def _separation(
    positive: Float[Tensor, "pairs d_model"],
    negative: Float[Tensor, "pairs d_model"],
    folds: Int[Tensor, "pairs"],
) -> tuple[float, float]:
    """(d', AUROC) of the held-out projections, pooled over the folds."""
    from sklearn.metrics import roc_auc_score  # takes a second to import, which only extraction should pay

    pos, neg = torch.empty(len(positive)).double(), torch.empty(len(negative)).double()
    for fold in folds.unique():
        held = folds == fold
        vector = positive[~held].mean(0) - negative[~held].mean(0)
        unit = vector / vector.norm().clamp_min(TINY)
        pos[held], neg[held] = positive[held] @ unit, negative[held] @ unit
    spread = ((pos.var() + neg.var()) / 2).sqrt().clamp_min(TINY)
    labels = torch.cat([torch.ones(len(pos)), torch.zeros(len(neg))])
    auroc = float(roc_auc_score(labels.numpy(), torch.cat([pos, neg]).numpy()))
    return ((pos.mean() - neg.mean()) / spread).item(), auroc

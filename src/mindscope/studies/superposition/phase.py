"""Phase diagrams: what becomes of one feature, by its importance and by how sparse all features are.

Closed forms, with p the density and every weight of a represented feature 1 or -1 (the paper's toy
calculation):

- A feature that is not represented is best given its mean: its error is V = E[x^2] - E[x]^2 = p/3 - p^2/4.
- Two features that are antipodal in one dimension disturb one another when both are active. ReLU(x_1 - x_2)
  misses x_1 by min(x_1, x_2), and so does the other: each has the error p^2 E[min^2] = p^2 / 6.
- A feature with a dimension of its own has no error.

The lowest of the sums, weighted with importances, says what is predicted. Three features in two dimensions
could also form a triangle; its loss, (p^2 (1 - p) / 8 + p^3 / 6) a feature, is never the lowest.

Whether two features should share hangs on samples in which both are active, p^2 of all. So samples are drawn
by patterns of activity and weighted with their probabilities, which is the same loss with less noise.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.studies.common import (
    PieceProgress,
    ToyModels,
    as_row,
    as_rows,
    patterned_uniform,
    train_models,
)
from mindscope.studies.superposition.config import PhaseConfig, spaced
from mindscope.studies.superposition.measure import OFFSET, REPRESENTED, best_starts
from mindscope.studies.superposition.results import PhasePanel

ABSENT, SHARED, OWN = "absent", "shared", "own"
"""Not represented; represented in superposition; with a dimension of its own."""
SIZES = ((2, 1), (3, 2))
"""n and m of the paper's two panels."""
HELD = 256
"""Samples of every pattern of activity, on which the best of several starts is chosen."""


def predict_phase(features: int, density: float, importance: float) -> str:
    """What the closed forms predict of the last feature; the other features have importance 1."""
    missing, antipodal = density / 3 - density**2 / 4, density**2 / 6
    losses = {
        ABSENT: importance * missing,
        # it takes the place of another one, or those two share what they had
        OWN: min(missing, 2 * antipodal) if features > 2 else missing,
        SHARED: (1 + importance) * antipodal,
    }
    return min(losses, key=lambda name: losses[name])


def measure_phase(
    config: PhaseConfig, features: int, hidden: int, seed: int, progress: PieceProgress
) -> PhasePanel:
    """Train models over the plane, and compare what becomes of the last feature with the closed forms."""
    densities = spaced(1.0, 0.01, config.cells)
    importances = spaced(0.1, 10.0, config.cells)
    # the variants of a draw are all cells: densities x importances, read row by row
    draws, cells = config.seeds * config.starts, config.cells**2
    density = torch.tensor(densities).repeat_interleave(config.cells).expand(draws, -1)
    importance = torch.ones(draws, cells, features)
    importance[:, :, -1] = torch.tensor(importances).repeat(config.cells)
    importance = importance.flatten(0, 1)
    models = ToyModels.draw(draws * cells, hidden, features, seed=seed + OFFSET)
    each = max(1, config.training.samples // 2**features)
    sample, weights = patterned_uniform(density, features, each, seed)
    train_models(models, sample, importance, config.training, weights=weights, progress=progress)
    held, weights = patterned_uniform(density, features, HELD, seed + 2 * OFFSET)
    losses = models.losses(held(0), importance, weights).unflatten(0, (config.seeds, config.starts, cells))
    # seeds x cells, the starts being side by side
    chosen = best_starts(losses.permute(0, 2, 1).flatten(), config.seeds * cells) % config.starts
    chosen = chosen.view(config.seeds, 1, cells)
    W = models.W.unflatten(0, (config.seeds, config.starts, cells))
    W = W.gather(1, chosen[..., None, None].expand(-1, -1, -1, hidden, features))[:, 0]
    norm, shared = _describe_last(W)
    predicted = [[predict_phase(features, p, r) for r in importances] for p in densities]
    named = [name for row in predicted for name in row]
    agreement = [
        sum(name == _name(*cell) for name, cell in zip(named, zip(*seed_cells, strict=True), strict=True))
        / cells
        for seed_cells in zip(norm.tolist(), shared.tolist(), strict=True)
    ]
    square = (config.cells, config.cells)
    return PhasePanel(
        features=features,
        hidden=hidden,
        densities=densities,
        importances=importances,
        norm=as_rows(norm.mean(0).view(square)),
        shared=as_rows(shared.mean(0).view(square)),
        predicted=tuple(map(tuple, predicted)),
        agreement=as_row(torch.tensor(agreement)),
        constant=max(map(named.count, (ABSENT, SHARED, OWN))) / cells,
    )


def _describe_last(
    W: Float[Tensor, "seeds cells hidden features"],
) -> tuple[Float[Tensor, "seeds cells"], Float[Tensor, "seeds cells"]]:
    """|W_n| of the last feature, and sum_{j < n} (w_n . W_j)^2."""
    last = W[..., -1]
    norm = last.norm(dim=2)
    unit = last / norm[..., None].clamp(min=1e-12)
    return norm, torch.einsum("sch,schf->scf", unit, W[..., :-1]).square().sum(2)


def _name(norm: float, shared: float) -> str:
    return ABSENT if norm < REPRESENTED else SHARED if shared > REPRESENTED else OWN

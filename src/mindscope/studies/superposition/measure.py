"""Panels, polytopes, and features that are active together or never together."""

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.studies.common import (
    PieceProgress,
    Sampler,
    ToyModels,
    as_row,
    as_rows,
    draw_uniform,
    feature_dimensionality,
    sparse_uniform,
    train_models,
)
from mindscope.studies.superposition.config import DENSITIES, SuperpositionConfig
from mindscope.studies.superposition.results import (
    CorrelatedFeatures,
    PolytopeFit,
    PolytopeFits,
    SetCosines,
    SuperpositionPanels,
)

PANEL_FEATURES, PANEL_HIDDEN, PANEL_DECAY = 20, 5, 0.7
"""n, m, and I_i = 0.7^i of the paper's first panels."""
POLYTOPES = (("pentagon", 5, 2, 2 / 5), ("octahedron", 6, 3, 1 / 2), ("square antiprism", 8, 3, None))
"""Name, n, m, and the dimensionality of its vertices. The antiprism's 3/8 is that of the whole polytope among
many; alone, its features are a little longer than they would be there, so it is only reported."""
REPRESENTED = 0.5
"""A norm above it counts as represented: norms lie near 0 or near 1."""
SETS = (("independent", 4), ("correlated", 4), ("anticorrelated", 4), ("correlated", 6), ("independent", 6))
"""Kinds of sets of two, and how many features there are in all, in two dimensions."""
HELD = 8192
"""Samples on which the best of several starts is chosen."""
OFFSET = 500_009
"""Seeds of weights and of samples lie this far apart."""


def measure_panels(config: SuperpositionConfig, seed: int, progress: PieceProgress) -> SuperpositionPanels:
    """Train models of every density, with and without the ReLU."""
    importance = PANEL_DECAY ** torch.arange(PANEL_FEATURES, dtype=torch.float32)[None]
    density = torch.tensor(DENSITIES).expand(config.seeds, -1)
    weights = []
    for number, linear in enumerate((False, True)):
        models = ToyModels.draw(
            density.numel(), PANEL_HIDDEN, PANEL_FEATURES, seed=seed + OFFSET, linear=linear
        )
        sample = sparse_uniform(density, PANEL_FEATURES, config.small.samples, seed)
        train_models(
            models,
            sample,
            importance,
            config.small,
            progress=lambda done, total, number=number: progress(number * total + done, 2 * total),
        )
        weights.append(models.W)
    # densities x seeds
    relu, plain = (
        (W.norm(dim=1) > REPRESENTED).sum(1).float().unflatten(0, (config.seeds, len(DENSITIES))).T
        for W in weights
    )
    shown = weights[0][: len(DENSITIES)]
    return SuperpositionPanels(
        features=PANEL_FEATURES,
        hidden=PANEL_HIDDEN,
        densities=DENSITIES,
        represented=as_rows(relu),
        linear=as_rows(plain),
        gram=tuple(as_rows(gram) for gram in shown.mT @ shown),
    )


def measure_polytopes(config: SuperpositionConfig, seed: int, progress: PieceProgress) -> PolytopeFits:
    """Train models of few equal features, and compare dimensionalities with those of a polytope."""
    fits = []
    density = torch.full((config.seeds, 1), config.polytope_density)
    for number, (name, features, hidden, expected) in enumerate(POLYTOPES):
        models = ToyModels.draw(config.seeds, hidden, features, seed=seed + OFFSET)
        random = feature_dimensionality(torch.nn.functional.normalize(models.W, dim=1))
        train_models(
            models,
            sparse_uniform(density, features, config.small.samples, seed),
            torch.ones(1, features),
            config.small,
            progress=lambda done, total, number=number: progress(
                number * total + done, len(POLYTOPES) * total
            ),
        )
        shares = feature_dimensionality(models.W)
        fits.append(
            PolytopeFit(
                name=name,
                features=features,
                hidden=hidden,
                expected=expected,
                mean=as_row(shares.mean(1)),
                farthest=as_row(_farthest(shares, expected)),
                random=as_row(_farthest(random, expected)),
            )
        )
    return PolytopeFits(density=config.polytope_density, fits=tuple(fits))


def measure_correlated(config: SuperpositionConfig, seed: int, progress: PieceProgress) -> CorrelatedFeatures:
    """Train models of two or three sets of two features, and compare cosines within and between sets."""
    kinds = []
    for number, (kind, features) in enumerate(SETS):
        count = config.set_seeds * config.starts
        models = ToyModels.draw(count, 2, features, seed=seed + OFFSET)
        importance = torch.ones(1, features)
        draws = (count, features, config.set_density)
        train_models(
            models,
            paired_uniform(kind, *draws, config.small.samples, seed),
            importance,
            config.small,
            progress=lambda done, total, number=number: progress(number * total + done, len(SETS) * total),
        )
        held = paired_uniform(kind, *draws, HELD, seed + 2 * OFFSET)(0)
        W = models.take(best_starts(models.losses(held, importance), config.set_seeds)).W
        kinds.append(_cosines(kind, W))
    return CorrelatedFeatures(density=config.set_density, sets=tuple(kinds))


def paired_uniform(
    kind: str, n_models: int, features: int, density: float, samples: int, seed: int
) -> Sampler:
    """Features in sets of two, (0, 1), (2, 3) and so on.

    Correlated ones are zero or not together; of an anticorrelated set at most one is active, drawn at random,
    with the set active as often as a single feature would be.
    """

    def sample(step: int) -> Float[Tensor, "models features samples"]:
        values, gates, which = draw_uniform((3, n_models, features, samples), seed, step)
        if kind == "independent":
            return values * (gates < density)
        gates, which = (part[:, ::2].repeat_interleave(2, 1) for part in (gates, which))
        active = gates < density
        if kind == "anticorrelated":
            second = torch.arange(features) % 2 == 1
            active &= (which < 0.5) == second[:, None]
        return values * active

    return sample


def best_starts(losses: Float[Tensor, "models"], seeds: int) -> Tensor:
    """The number of the model with the lowest loss among the starts of every seed, which are neighbours."""
    starts = losses.unflatten(0, (seeds, -1))
    return starts.argmin(1) + torch.arange(seeds) * starts.shape[1]


def _cosines(kind: str, W: Float[Tensor, "seeds hidden features"]) -> SetCosines:
    unit = torch.nn.functional.normalize(W, dim=1)
    cosines = unit.mT @ unit
    n_features = W.shape[2]
    sets = torch.arange(n_features) // 2
    same = (sets[:, None] == sets) & ~torch.eye(n_features, dtype=torch.bool)
    between = sets[:, None] != sets
    return SetCosines(
        kind=kind,
        features=n_features,
        within=as_row(cosines[:, same].mean(1)),
        within_size=as_row(cosines[:, same].abs().mean(1)),
        between_size=as_row(cosines[:, between].abs().mean(1)),
        W=as_rows(W[0]),
    )


def _farthest(shares: Float[Tensor, "seeds features"], expected: float | None) -> Float[Tensor, "seeds"]:
    centre = shares.mean(1, keepdim=True) if expected is None else expected
    return (shares - centre).abs().amax(1)

"""What a polytope saves: which of them a model would choose at a density, if training found the best.

k features in the corners of a regular polytope of d dimensions have W^T W = s G, with G the cosines between
corners, and one bias b for all. With the best s and b, what they save against a model that says the mean of
every feature is taken per dimension, in variances of a feature. A dimension of its own saves 1, and so does
every dimension of the best linear model, however it is turned; what a polytope saves beyond 1 is what
superposition is worth. Where another polytope saves more, features do not gather at this one unless training
stops there.

The mean over samples is taken of the difference to the best linear model of the same dimensions, whose saving
is known, so that few samples are enough. The paper shows at which dimensionalities features gather and leaves
open why there; this accounting is ours.
"""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.studies.common import PieceProgress
from mindscope.studies.superposition.results import PolytopeSavings

DENSITIES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
STARTS = ((0.8, 0.3), (1.0, 0.0))
"""Scale and bias that the best ones are sought from: those of dense features, and of sparse ones."""
EVALUATIONS = 80
"""Of the loss, about, until both are found."""
CLEAR = 2.0
"""By how many standard errors a polytope must save more than the next to be called the best."""


def simplex_cosines(corners: int) -> Float[Tensor, "corners corners"]:
    """Of a regular simplex, which has one dimension less than corners."""
    eye = torch.eye(corners, dtype=torch.float64)
    return (eye - 1 / corners) * corners / (corners - 1)


def pentagon_cosines() -> Float[Tensor, "5 5"]:
    """Of a regular pentagon in the plane."""
    angles = 2 * math.pi / 5 * torch.arange(5, dtype=torch.float64)
    return (angles[:, None] - angles).cos()


FRAMES: Mapping[str, tuple[Float[Tensor, "corners corners"], int]] = {
    "antipodal pair": (simplex_cosines(2), 1),
    "triangle": (simplex_cosines(3), 2),
    "tetrahedron": (simplex_cosines(4), 3),
    "5-cell": (simplex_cosines(5), 4),
    "pentagon": (pentagon_cosines(), 2),
}
"""Cosines between corners, and dimensions."""


def measure_savings(samples: int, seed: int, progress: PieceProgress) -> PolytopeSavings:
    """What every polytope saves at every density, over so many samples."""
    saved, errors = [], []
    for done, density in enumerate(DENSITIES, 1):
        found = [polytope_saving(*polytope, density, samples, seed) for polytope in FRAMES.values()]
        saved.append(tuple(mean for mean, _ in found))
        errors.append(tuple(error for _, error in found))
        progress(done, len(DENSITIES))
    return PolytopeSavings(names=tuple(FRAMES), densities=DENSITIES, saved=tuple(saved), errors=tuple(errors))


def polytope_saving(
    cosines: Float[Tensor, "corners corners"], dimensions: int, density: float, samples: int, seed: int
) -> tuple[float, float]:
    """What a polytope saves with its best scale and bias, per dimension and in variances of a feature, and
    the standard error of that.

    Args:
        cosines: between its corners; a tight frame, as those of regular polytopes are.
        dimensions: of the space it lies in.
        density: 1 - S, of features that are uniform between 0 and 1 where they are active.
        samples: to draw.
        seed: of the draw.
    """
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(2, samples, len(cosines), generator=draw, dtype=torch.float64)
    x = x[0] * (x[1] < density)
    scale, bias = min((_fit(x, cosines, *start) for start in STARTS), key=lambda fit: fit[0])[1:]
    away = x - density / 2
    projected = away @ (cosines * dimensions / len(cosines))
    beyond_linear = (projected - away).square().sum(1) - _losses(x, cosines, scale, bias)
    variance = density / 3 - density**2 / 4
    beyond = beyond_linear / (variance * dimensions)
    return 1 + float(beyond.mean()), float(beyond.std()) / math.sqrt(samples)


def _losses(
    x: Float[Tensor, "samples corners"],
    cosines: Float[Tensor, "corners corners"],
    scale: Tensor,
    bias: Tensor,
) -> Float[Tensor, "samples"]:
    return ((x @ (scale * cosines) + bias).relu() - x).square().sum(1)


def _fit(
    x: Float[Tensor, "samples corners"], cosines: Float[Tensor, "corners corners"], scale: float, bias: float
) -> tuple[float, Tensor, Tensor]:
    """The least mean loss that is found from a scale and a bias, and both."""
    found = torch.tensor([scale, bias], dtype=x.dtype, requires_grad=True)
    search = torch.optim.LBFGS([found], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        mean = _losses(x, cosines, *found).mean()
        mean.backward()
        return mean.detach()

    search.step(loss)
    best_scale, best_bias = found.detach()
    return float(_losses(x, cosines, best_scale, best_bias).mean()), best_scale, best_bias


def best_densities(savings: PolytopeSavings, name: str) -> list[float]:
    """At which densities a polytope saves clearly more than every other."""
    place = savings.names.index(name)
    return [
        density
        for density, saved, errors in zip(savings.densities, savings.saved, savings.errors, strict=True)
        if all(
            saved[place] - saved[other] > CLEAR * math.hypot(errors[place], errors[other])
            for other in range(len(saved))
            if other != place
        )
    ]


def lead(savings: PolytopeSavings, name: str) -> float:
    """By how much a polytope saves more than the next where it leads most; below 0 if it never leads."""
    place = savings.names.index(name)
    return max(
        row[place] - max(value for other, value in enumerate(row) if other != place) for row in savings.saved
    )

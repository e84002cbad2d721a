"""Runs of several sizes and lengths, the best of them at equal compute, and laws through these.

1. A run has F latents and S steps; its compute is F S, as batch and width are the same in all of them.
2. At each compute the loss is a valley over log F. Its bottom is the vertex of the parabola through the best
   run and its two neighbours (Hoffmann et al. 2022, arXiv 2203.15556, approach 2, with three points); where
   the best run is the first or last of the sizes, it is that run, and the optimum lies at the edge.
3. Laws are straight lines through logarithms, by least squares: L = c C^-a, F = c C^b, S = C / F.
4. What a law must beat: the loss at the most compute (nothing is gained any more), the same line through
   losses dealt to other computes, and for the optimum the line through sizes dealt to other computes.

The sizes are the same at every compute. So where losses say nothing the optimum has F alike at all of them,
and b is 0 on average, while steps grow as compute does.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from mindscope.studies.common import TokenPool, score_coders, train_coder
from mindscope.studies.scaling.config import ScalingConfig
from mindscope.studies.scaling.results import LawRun, LawSeed

DRAWS = 1000
"""Orders that optima are dealt in, for the null."""
FLOORS = 200
"""Floors of the loss that are tried, evenly from nothing to the least loss."""


def measure_run(pool: TokenPool, config: ScalingConfig, seed: int, latents: int, steps: int) -> LawRun:
    """Train one, and score it on held-out tokens."""
    own = config.model_copy(update={"steps": steps})
    coder = train_coder(pool, own, seed * 100 + latents, latents=latents, method="relu")
    scores = score_coders([coder], [pool], config.sparsity)
    return LawRun(
        latents=latents,
        steps=steps,
        loss=scores.loss,
        error=scores.error,
        active=scores.active,
        alive=scores.alive,
    )


def list_runs(config: ScalingConfig) -> list[tuple[int, int]]:
    """Latents and steps of all runs for the laws."""
    return [
        (latents, compute // latents) for compute in config.law_computes for latents in config.law_latents
    ]


@dataclass(frozen=True)
class PowerLaw:
    """y = scale x^exponent."""

    scale: float
    exponent: float
    straight: float
    """The share of the variance of log y that it explains."""

    @classmethod
    def fit(cls, x: Sequence[float], y: Sequence[float]) -> "PowerLaw":
        """By least squares through logarithms."""
        a, b = np.log(x), np.log(y)
        exponent, start = np.polyfit(a, b, 1)
        rest, spread = float(((b - start - exponent * a) ** 2).sum()), float(((b - b.mean()) ** 2).sum())
        return cls(math.exp(start), float(exponent), 1 - rest / spread if spread else 1.0)

    def at(self, x: float) -> float:
        """Its value."""
        return self.scale * x**self.exponent


@dataclass(frozen=True)
class ComputeOptimum:
    """The best loss at one compute, and what it takes."""

    compute: float
    latents: float
    loss: float
    inside: bool
    """Whether larger and smaller sizes were tried and had higher losses."""

    @property
    def steps(self) -> float:
        return self.compute / self.latents


def find_optima(runs: Sequence[LawRun]) -> list[ComputeOptimum]:
    """At each compute, the least first; see above.

    A size that does not divide a compute has a little less of it, which is left out of account.
    """
    groups: dict[int, list[LawRun]] = {}
    for run in sorted(runs, key=lambda run: run.latents):
        groups.setdefault(_compute_of(run, runs), []).append(run)
    return [_valley(compute, groups[compute]) for compute in sorted(groups)]


def _compute_of(run: LawRun, runs: Sequence[LawRun]) -> int:
    """The compute that a run was meant to have: that of the smallest size, which divides all of them best."""
    smallest = min(other.latents for other in runs)
    whole = [other.compute for other in runs if other.latents == smallest]
    return min(whole, key=lambda compute: abs(math.log(compute / run.compute)))


def _valley(compute: float, runs: Sequence[LawRun]) -> ComputeOptimum:
    best = min(range(len(runs)), key=lambda number: runs[number].loss)
    if not 0 < best < len(runs) - 1:
        return ComputeOptimum(compute, runs[best].latents, runs[best].loss, inside=False)
    three = runs[best - 1 : best + 2]
    a, b, c = np.polyfit([math.log(run.latents) for run in three], [run.loss for run in three], 2)
    vertex = -b / (2 * a)
    return ComputeOptimum(compute, math.exp(vertex), float(c + vertex * b / 2), inside=True)


@dataclass(frozen=True)
class SeedLaws:
    """The laws of one seed, and what they say of larger runs.

    Attributes:
        optima: at each compute.
        loss: against compute.
        latents: of the optimum against compute.
        dealt_latents: the exponents of the latter for optima dealt to other computes.
    """

    optima: list[ComputeOptimum]
    loss: PowerLaw
    latents: PowerLaw
    dealt_latents: list[float]

    @classmethod
    def fit(cls, seed: LawSeed, number: int = 0) -> "SeedLaws":
        """Through its runs; `number` deals the optima of the null."""
        optima = find_optima(seed.runs)
        computes = [optimum.compute for optimum in optima]
        latents = [optimum.latents for optimum in optima]
        rng = random.Random(number)
        dealt = [PowerLaw.fit(computes, rng.sample(latents, len(latents))).exponent for _ in range(DRAWS)]
        return cls(
            optima,
            PowerLaw.fit(computes, [optimum.loss for optimum in optima]),
            PowerLaw.fit(computes, latents),
            dealt,
        )

    def predictions(self, run: LawRun) -> dict[str, float]:
        """How far off predictions of a run's loss are: the size of the log of predicted over measured.

        By the power law, the last loss, lines through shuffled losses (a mean over all other orders), a
        straight line over log compute, and a power law above a floor.
        """
        x = [optimum.compute for optimum in self.optima]
        y = [optimum.loss for optimum in self.optima]
        at = float(run.compute)

        def off(loss: float) -> float:
            return abs(math.log(max(loss, 1e-9) / run.loss))

        shuffled = [off(PowerLaw.fit(x, order).at(at)) for order in permutations(y) if list(order) != y]
        slope, start = np.polyfit(np.log(x), y, 1)
        return {
            "law": off(self.loss.at(at)),
            "last": off(y[-1]),
            "shuffled": sum(shuffled) / len(shuffled) if shuffled else 0.0,
            "line": off(float(start + slope * math.log(at))),
            "floor": off(predict_above_floor(x, y, at)),
        }


def predict_above_floor(x: Sequence[float], y: Sequence[float], at: float) -> float:
    """Y = E + c x^-a at a place, with the E from 0 up to the least y that fits best."""
    best, value = math.inf, y[-1]
    for floor in np.linspace(0, min(y), FLOORS, endpoint=False):
        law = PowerLaw.fit(x, [loss - floor for loss in y])
        rest = sum((floor + law.at(place) - loss) ** 2 for place, loss in zip(x, y, strict=True))
        if rest < best:
            best, value = rest, float(floor) + law.at(at)
    return value

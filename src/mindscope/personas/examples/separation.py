"""How well examples are told apart along their vector, held out; against random sides, length and prompts.

1. Units of examples are dealt into folds. An example is projected on the vector of all other folds, so that
   nothing is judged by a vector it helped to make. For this the products of all examples with one another
   are enough: with w = 1/n on the positive and -1/n on the negative ones that are seen, X w is the vector
   and X' X w what the others project to.
2. The same is done with sides that were drawn at random, many times: what remains is what any split of these
   examples reaches. Pairs are turned round, units keep one side.
3. Intervals draw whole units again: of the AUROC, of the vector's norm, of its cosine with itself.
4. Two controls that know nothing of the vector: the number of tokens of an answer, and the prompt alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int
from scipy.stats import rankdata
from torch import Tensor

from mindscope.personas.examples.results import ExampleStatistics
from mindscope.personas.layer_statistics import TINY, LayerStatistics
from mindscope.stats import Estimate, RateEstimate

SHUFFLES = 100
"""Random sides: their 95th percentile is then known to about two percentiles."""
LEVEL = 0.95


@dataclass(frozen=True)
class SeparationPlan:
    """Which examples are of which side and unit, and how they are held out and drawn again.

    Attributes:
        positive: `[examples]`, whether an example shows the trait.
        units: `[examples]`, the number of its unit.
        paired: whether the first half are the partners of the second.
        folds, resamples, seed: as in `ExtractConfig`.
    """

    positive: Bool[np.ndarray, "examples"]
    units: Int[np.ndarray, "examples"]
    paired: bool
    folds: int
    resamples: int
    seed: int

    @cached_property
    def fold(self) -> Int[np.ndarray, "examples"]:
        """The fold of each example; a single unit is parted, for want of others."""
        units = self.units if self.n_units > 1 else np.arange(len(self.units))
        if self.n_units == 1 and self.paired:
            units = np.concatenate([np.arange(len(units) // 2)] * 2)
        places = np.random.default_rng(self.seed).permutation(int(units.max()) + 1)
        return places[units] % self.folds

    @property
    def n_units(self) -> int:
        return len(np.unique(self.units))

    @cached_property
    def times(self) -> Float64[np.ndarray, "resamples examples"]:
        """How often each example is drawn when whole units are drawn with replacement."""
        n_units = int(self.units.max()) + 1
        present = np.unique(self.units)
        generator = np.random.default_rng(self.seed)
        drawn = np.zeros((self.resamples, n_units))
        drawn[:, present] = generator.multinomial(
            len(present), [1 / len(present)] * len(present), self.resamples
        )
        times = drawn[:, self.units]
        both = (times[:, self.positive].sum(1) > 0) & (times[:, ~self.positive].sum(1) > 0)
        return times[both]

    @cached_property
    def sides(self) -> Bool[np.ndarray, "splits examples"]:
        """The sides as they are, and below them sides drawn at random."""
        generator, half = np.random.default_rng(self.seed + 1), len(self.positive) // 2
        drawn = [self.positive]
        pure = all(len(np.unique(self.positive[self.units == unit])) == 1 for unit in np.unique(self.units))
        while len(drawn) <= SHUFFLES:
            if self.paired:
                turned = generator.random(half) < 0.5
                drawn.append(self.positive ^ np.concatenate([turned, turned]))
            elif pure:
                first = {unit: self.positive[self.units == unit][0] for unit in np.unique(self.units)}
                values = dict(zip(first, generator.permutation(list(first.values())), strict=True))
                drawn.append(np.array([values[unit] for unit in self.units]))
            else:
                drawn.append(generator.permutation(self.positive))
        return np.stack(drawn)

    def held_out(
        self, values: Float[Tensor, "examples d_model"], sides: Bool[np.ndarray, "splits examples"]
    ) -> Float64[np.ndarray, "splits examples"]:
        """Each example's projection on the unit vector of the other folds, for every split into sides."""
        centred = values.double() - values.double().mean(0)
        products = (centred @ centred.T).numpy()
        projections = np.zeros(sides.shape)
        for fold in np.unique(self.fold):
            held = self.fold == fold
            seen = sides & ~held, ~sides & ~held
            counts = [np.maximum(side.sum(1, keepdims=True), 1) for side in seen]
            weights = (seen[0] / counts[0] - seen[1] / counts[1]).T  # examples x splits
            along = products @ weights
            norms = np.sqrt(np.maximum((weights * along).sum(0), TINY))
            projections[:, held] = (along[held] / norms).T
        return projections


def separate_examples(
    answers: Float[Tensor, "examples n_layers d_model"],
    prompts: Float[Tensor, "examples d_model"],
    lengths: Sequence[int],
    plan: SeparationPlan,
    *,
    notes: Sequence[str] = (),
    sources: Sequence[str] = (),
) -> tuple[LayerStatistics, ExampleStatistics]:
    """Confidence of the difference of means, held-out separation, and what it is compared with.

    Args:
        answers: mean activations of the answers at every layer, the positive ones first.
        prompts: of the last prompt token at the default layer.
        lengths: tokens of each answer.
        plan: sides, units and draws.
        notes: kept with the results.
        sources: likewise.
    """
    columns: dict[str, list[float]] = {name: [] for name in LayerStatistics.model_fields}
    low, high, shuffled, rates = [], [], [], []
    for layer in range(answers.shape[1]):
        values = answers[:, layer]
        projections = plan.held_out(values, plan.sides)
        aurocs = area_under(projections, plan.sides)
        interval = area_interval(projections[0], plan)
        low.append(interval.low)
        high.append(interval.high)
        shuffled.append(float(np.quantile(aurocs[1:], LEVEL)))
        if plan.paired:
            rates.append(_pair_rate(projections[0], plan))
        measures = (*_spread(values, plan), _d_prime(projections[0], plan.positive), float(aurocs[0]))
        for column, value in zip(columns.values(), measures, strict=True):
            column.append(value)
    asked = plan.held_out(prompts, plan.sides[:1])[0]
    return LayerStatistics(**{name: tuple(column) for name, column in columns.items()}), ExampleStatistics(
        positive=int(plan.positive.sum()),
        negative=int((~plan.positive).sum()),
        paired=plan.paired,
        units=plan.n_units,
        auroc_low=tuple(low),
        auroc_high=tuple(high),
        shuffled=tuple(shuffled),
        pair_rate=tuple(rates) if plan.paired else None,
        length=area_interval(np.array(lengths, float), plan),
        prompt=None if plan.paired else area_interval(asked, plan),
        notes=tuple(notes),
        sources=tuple(sources),
    )


def area_under(
    scores: Float64[np.ndarray, "splits examples"], sides: Bool[np.ndarray, "splits examples"]
) -> Float64[np.ndarray, "splits"]:
    """The AUROC of each row: how often a positive score lies above a negative one, ties half."""
    ranks = rankdata(scores, axis=1)
    n_positive, n_negative = sides.sum(1), (~sides).sum(1)
    above = (ranks * sides).sum(1) - n_positive * (n_positive + 1) / 2
    return above / np.maximum(n_positive * n_negative, 1)


def area_interval(scores: Float64[np.ndarray, "examples"], plan: SeparationPlan) -> Estimate:
    """The AUROC of one score, with its 95 % interval over units."""
    positive, negative = scores[plan.positive], scores[~plan.positive]
    above = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    times = plan.times[:, plan.positive], plan.times[:, ~plan.positive]
    drawn = ((times[0] @ above) * times[1]).sum(1) / (times[0].sum(1) * times[1].sum(1))
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return Estimate(mean=float(above.mean()), low=low, high=high)


def _spread(values: Float[Tensor, "examples d_model"], plan: SeparationPlan) -> tuple[float, ...]:
    """Interval of the norm (the basic one, see `layer_statistics`), mean and low end of the cosine."""
    wide, positive = values.double(), torch.from_numpy(plan.positive)
    vector = wide[positive].mean(0) - wide[~positive].mean(0)
    times = torch.from_numpy(plan.times)
    resampled = _mean_of(wide, times, positive) - _mean_of(wide, times, ~positive)
    norm, norms = vector.norm(), resampled.norm(dim=1)
    low, high = norms.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    cosines = (resampled @ vector) / (norms * norm).clamp_min(TINY)
    twice = 2 * norm.item()
    return max(twice - high, 0.0), twice - low, cosines.mean().item(), cosines.quantile(0.025).item()


def _mean_of(
    values: Float[Tensor, "examples d_model"],
    times: Float[Tensor, "resamples examples"],
    side: Bool[Tensor, "examples"],
) -> Float[Tensor, "resamples d_model"]:
    counts = times[:, side]
    return counts @ values[side] / counts.sum(1, keepdim=True)


def _d_prime(projections: Float64[np.ndarray, "examples"], positive: Bool[np.ndarray, "examples"]) -> float:
    first, second = projections[positive], projections[~positive]
    spread = np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2)
    return float((first.mean() - second.mean()) / max(spread, TINY))


def _pair_rate(projections: Float64[np.ndarray, "examples"], plan: SeparationPlan) -> RateEstimate:
    half = len(projections) // 2
    hits = projections[:half] > projections[half:]
    return RateEstimate.of(hits.tolist(), plan.units[:half].tolist())

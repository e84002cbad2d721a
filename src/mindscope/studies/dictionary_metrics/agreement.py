"""What a metric is worth: how its ranking agrees with the truth's, and what differences it can tell.

1. Agreement: Spearman's rank correlation with recovery over all dictionaries of a world; worlds are the
   independent units.
2. Noise: s_draw between draws of samples, of one dictionary; s_train between trainings that differ by their
   seed alone, of means over R draws, which has the draws' share in it. Both are pooled over dictionaries.
3. The smallest difference that means something between two dictionaries of one training each, at 95 %:
   1.96 sqrt(2) s_train.
4. Verdicts: over pairs of kinds (method and size), where their means differ by more than that, how often the
   metric is right and how often wrong about which recovers more. Where it tells no difference it says
   nothing.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from mindscope.store import Document
from mindscope.studies.common import SeedEstimate
from mindscope.studies.dictionary_metrics.results import AtomWorldScores, DictionaryScores

TWO_SIDED = 1.96
LEAST_ACTIVE = 1.0
"""A kind with fewer active latents a sample has died in training."""
SPARSITY = "sparsity (-L0)"


class MetricWorth(Document):
    """One metric; shares are of pairs of kinds."""

    metric: str
    agreement: SeedEstimate
    """Spearman's correlation with recovery, over worlds."""
    by_world: tuple[float, ...]
    """The same, one by one."""
    within_methods: SeedEstimate
    """The same among dictionaries of one size, a mean over sizes: whether it tells more than size."""
    draw_noise: float
    train_noise: float
    smallest_difference: float
    spread: float
    """The standard deviation of the metric between kinds, a mean over worlds."""
    right: SeedEstimate
    wrong: SeedEstimate
    missing: int
    """Values that it does not have."""


def rank_metrics(worlds: Sequence[AtomWorldScores]) -> tuple[MetricWorth, ...]:
    """Every metric, those that agree best first."""
    names = list(worlds[0].dictionaries[0].metrics)
    worths = [weigh_metric(name, worlds) for name in names]
    return tuple(sorted(worths, key=lambda worth: -worth.agreement.mean))


def leave_out_dead(worlds: Sequence[AtomWorldScores]) -> list[AtomWorldScores]:
    """The worlds without kinds that died in any of them: noticing that is no merit of a metric."""

    def active(world: AtomWorldScores, kind: tuple[str, int]) -> float:
        values = [
            -v for d in world.dictionaries if _kind(d) == kind for v in d.metrics[SPARSITY] if v is not None
        ]
        return float(np.mean(values))

    dead = {kind for world in worlds for kind in _kinds(world) if active(world, kind) < LEAST_ACTIVE}
    return [
        world.model_copy(
            update={"dictionaries": tuple(d for d in world.dictionaries if _kind(d) not in dead)}
        )
        for world in worlds
    ]


def weigh_metric(name: str, worlds: Sequence[AtomWorldScores]) -> MetricWorth:
    """All of the above for one metric."""
    drawn = [
        np.array([[np.nan if v is None else v for v in each.metrics[name]] for each in world.dictionaries])
        for world in worlds
    ]
    means = [_mean(table) for table in drawn]
    draw_noise = _pooled_sd([row for table in drawn for row in table])
    groups = [
        values[[number for number, each in enumerate(world.dictionaries) if _kind(each) == kind]]
        for world, values in zip(worlds, means, strict=True)
        for kind in _kinds(world)
    ]
    train_noise = _pooled_sd(groups)
    smallest = TWO_SIDED * 2**0.5 * train_noise
    verdicts = [_judge_pairs(world, values, smallest) for world, values in zip(worlds, means, strict=True)]
    spreads = [_pooled_sd([_by_kind(world, values)]) for world, values in zip(worlds, means, strict=True)]
    ranks = [correlate_ranks(values, _recovery(world)) for world, values in zip(worlds, means, strict=True)]
    return MetricWorth(
        metric=name,
        agreement=_over_worlds(ranks),
        by_world=tuple(ranks),
        within_methods=_over_worlds(
            [_within_sizes(world, values) for world, values in zip(worlds, means, strict=True)]
        ),
        draw_noise=draw_noise,
        train_noise=train_noise,
        smallest_difference=smallest,
        spread=float(np.mean(spreads)),
        right=_over_worlds([verdict[0] for verdict in verdicts]),
        wrong=_over_worlds([verdict[1] for verdict in verdicts]),
        missing=int(sum(np.isnan(table).sum() for table in drawn)),
    )


def correlate_ranks(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's correlation; 0 where one side does not vary, values that are missing left out."""
    from scipy.stats import rankdata

    known = ~np.isnan(x)
    x, y = x[known], y[known]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


def _within_sizes(world: AtomWorldScores, values: np.ndarray) -> float:
    sizes = np.array([each.latents for each in world.dictionaries])
    recovery = _recovery(world)
    return float(
        np.mean([correlate_ranks(values[sizes == size], recovery[sizes == size]) for size in set(sizes)])
    )


def _judge_pairs(world: AtomWorldScores, values: np.ndarray, smallest: float) -> tuple[float, float]:
    """The shares of pairs of kinds in which the metric tells a difference and is right, and is wrong."""
    ours, truth = _by_kind(world, values), _by_kind(world, _recovery(world))
    pairs = list(itertools.combinations(range(len(ours)), 2))
    told = [(a, b) for a, b in pairs if abs(ours[a] - ours[b]) > smallest]
    right = sum((ours[a] > ours[b]) == (truth[a] > truth[b]) for a, b in told)
    return right / len(pairs), (len(told) - right) / len(pairs)


def _by_kind(world: AtomWorldScores, values: np.ndarray) -> np.ndarray:
    return np.array(
        [
            _mean(values[[n for n, each in enumerate(world.dictionaries) if _kind(each) == kind]][None])[0]
            for kind in _kinds(world)
        ]
    )


def _kinds(world: AtomWorldScores) -> list[tuple[str, int]]:
    return list(dict.fromkeys(map(_kind, world.dictionaries)))


def _kind(scores: DictionaryScores) -> tuple[str, int]:
    return scores.method, scores.latents


def _recovery(world: AtomWorldScores) -> np.ndarray:
    return np.array([each.recovery for each in world.dictionaries])


def _mean(table: np.ndarray) -> np.ndarray:
    """Over the columns that are there; NaN where none is."""
    known = ~np.isnan(table)
    total = np.where(known, table, 0).sum(1)
    return np.where(known.any(1), total / known.sum(1).clip(min=1), np.nan)


def _pooled_sd(groups: Sequence[np.ndarray]) -> float:
    """The standard deviation within groups."""
    squares, free = 0.0, 0
    for group in groups:
        known = group[~np.isnan(group)]
        if len(known) > 1:
            squares += float(((known - known.mean()) ** 2).sum())
            free += len(known) - 1
    return (squares / free) ** 0.5 if free else float("nan")


def _over_worlds(values: Sequence[float]) -> SeedEstimate:
    return SeedEstimate.of(values, "worlds")

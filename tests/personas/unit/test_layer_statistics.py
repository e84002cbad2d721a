"""Separation and confidence of vectors: against cases whose answer is known."""

import math

import pytest
import torch
from torch import Tensor

from mindscope.personas.layer_statistics import LayerStatistics, layer_statistics
from mindscope.stats.bootstrap import bootstrap_interval


def sides(shift: float, pairs: int, width: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Unit-variance noise on both sides, the positive one moved by `shift` along the first axis."""
    generator = torch.Generator().manual_seed(seed)
    positive = torch.randn(pairs, 1, width, generator=generator)
    negative = torch.randn(pairs, 1, width, generator=generator)
    positive[:, 0, 0] += shift
    return positive, negative


def test_known_separation() -> None:
    positive, negative = sides(shift=2.0, pairs=4000)
    statistics = layer_statistics(positive, negative, [i % 20 for i in range(4000)], resamples=50)
    assert statistics.d_prime[0] == pytest.approx(2.0, abs=0.1)
    assert statistics.auroc[0] == pytest.approx(0.5 * (1 + math.erf(2 / 2)), abs=0.01)


def test_no_difference_is_no_separation() -> None:
    # In 200 dimensions the vector of 40 pairs separates those very pairs well: only held-out data tells.
    positive, negative = sides(shift=0.0, pairs=40, width=200)
    statistics = layer_statistics(positive, negative, [i % 10 for i in range(40)], resamples=50)
    assert abs(statistics.d_prime[0]) < 0.8
    assert abs(statistics.auroc[0] - 0.5) < 0.2


def test_questions_are_held_out_whole() -> None:
    # Each question has its own large offset on the positive side and there is no common difference. A
    # vector that saw the question in training would separate its pairs; one that did not cannot.
    generator = torch.Generator().manual_seed(1)
    questions = [i // 10 for i in range(50)]
    offsets = 20 * torch.nn.functional.one_hot(torch.tensor(questions), 64).float()
    positive = (torch.randn(50, 64, generator=generator) + offsets)[:, None]
    negative = torch.randn(50, 64, generator=generator)[:, None]
    held = layer_statistics(positive, negative, questions, resamples=10)
    leaked = layer_statistics(positive, negative, [0] * 50, resamples=10)
    assert held.auroc[0] < 0.7
    assert leaked.auroc[0] > 0.95


def test_the_interval_of_the_norm_covers_the_true_norm() -> None:
    covered = 0
    for seed in range(40):
        positive, negative = sides(shift=1.0, pairs=60, width=30, seed=seed)
        statistics = layer_statistics(positive, negative, list(range(60)), resamples=200, seed=seed)
        covered += statistics.norm_low[0] <= 1.0 <= statistics.norm_high[0]
    assert covered >= 34


def test_a_clear_vector_is_stable_and_a_noisy_one_is_not() -> None:
    questions = list(range(100))
    clear = layer_statistics(*sides(shift=5.0, pairs=100), questions)
    noisy = layer_statistics(*sides(shift=0.0, pairs=100), questions)
    assert clear.cosine_low[0] > 0.99
    assert noisy.cosine[0] < 0.9
    assert clear.cosine_low[0] <= clear.cosine[0] <= 1.0


def test_layers_are_independent_and_seeds_decide() -> None:
    one, other = sides(shift=1.0, pairs=30), sides(shift=3.0, pairs=30, seed=5)
    both = layer_statistics(
        torch.cat([one[0], other[0]], 1), torch.cat([one[1], other[1]], 1), list(range(30)), seed=3
    )
    alone = layer_statistics(*other, list(range(30)), seed=3)
    assert both.d_prime[1] == alone.d_prime[0]
    assert both.norm_low[1] == alone.norm_low[0]
    assert layer_statistics(*other, list(range(30)), seed=4).norm_low != alone.norm_low
    assert LayerStatistics.model_validate(both.to_json()) == both


def test_interval_of_a_mean() -> None:
    low, high = bootstrap_interval(torch.tensor([1.0, 2.0, 3.0, 4.0] * 25))
    spread = 1.96 * math.sqrt(1.25 / 100)
    assert low == pytest.approx(2.5 - spread, abs=0.05)
    assert high == pytest.approx(2.5 + spread, abs=0.05)
    assert bootstrap_interval(torch.tensor([7.0])) == (7.0, 7.0)

"""Shares and their intervals, over trials and over what the trials are about."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest

from mindscope.stats import RateEstimate


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (3, 10), (50, 50), (1, 1)])
def test_without_subjects_it_is_wilsons_interval(hits: int, n: int) -> None:
    rate = RateEstimate.of([True] * hits + [False] * (n - hits))
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert (rate.low, rate.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert (rate.units, rate.subjects) == (n, None)


def test_subjects_are_drawn_whole() -> None:
    """Compared with all 256 ways to draw four subjects of four, each with all its trials."""
    by_subject = {"a": [True] * 6, "b": [True] * 2, "c": [False] * 8, "d": [True, False]}
    hits = [hit for own in by_subject.values() for hit in own]
    subjects = [name for name, own in by_subject.items() for _ in own]
    rate = RateEstimate.of(hits, subjects)
    shares = []
    for drawn in product(by_subject.values(), repeat=4):
        pooled = [hit for own in drawn for hit in own]
        shares.append(sum(pooled) / len(pooled))
    low, high = np.quantile(shares, [0.025, 0.975])
    wilson = binomtest(2, 4).proportion_ci(method="wilson")
    assert rate.low == pytest.approx(min(low, wilson.low), abs=0.02)
    assert rate.high == pytest.approx(max(high, wilson.high), abs=0.02)
    assert (rate.hits, rate.n, rate.subjects, rate.units) == (9, 18, 4, 4)
    assert str(rate).endswith("n 18 on 4)")


def test_trials_that_repeat_a_subject_tell_no_more_than_it() -> None:
    """Fifty hits on five illnesses are not fifty independent ones, though all of them hit."""
    repeated = RateEstimate.of([True] * 50, [number % 5 for number in range(50)])
    five = RateEstimate.of([True] * 5)
    assert repeated.low == pytest.approx(five.low)
    assert repeated.low < RateEstimate.of([True] * 50).low
    apart = RateEstimate.of([True] * 8 + [False] * 2, list(range(10)))
    assert apart.low <= RateEstimate.of([True] * 8 + [False] * 2).low


@pytest.mark.parametrize("n", [12, 40, 150])
def test_where_all_or_none_hit_the_interval_ends_there(n: int) -> None:
    assert RateEstimate.of([False] * n).low == 0.0
    assert RateEstimate.of([True] * n).high == 1.0


def test_without_trials_nothing_is_known() -> None:
    assert (RateEstimate.of([], []).low, RateEstimate.of([], []).high) == (0.0, 1.0)
    assert str(RateEstimate.of([])) == "no prompt"

"""Tests of many differences: against all sign patterns, and against scipy's procedures."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest, false_discovery_control

from mindscope.stats import adjust_p_values, sign_flip_test, sign_test
from mindscope.stats.discoveries import FLIPS


def test_the_flips_are_close_to_all_sign_patterns():
    values = np.random.default_rng(0).normal(0.4, 1, 10)
    sums = np.array([np.dot(signs, values) for signs in product((-1, 1), repeat=10)])
    exact = float((sums >= values.sum() - 1e-12).mean())
    assert 0.01 < exact < 0.5
    assert sign_flip_test(values) == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / FLIPS))


def test_what_does_not_differ_has_p_one_and_the_least_p_counts_the_observation():
    assert sign_flip_test(np.zeros(20)) == 1
    assert sign_flip_test(np.ones(40)) == 1 / (1 + FLIPS)
    assert sign_flip_test(-np.ones(40)) == 1


def test_several_tests_share_the_patterns():
    table = np.random.default_rng(1).normal(0.2, 1, (30, 3))
    together = sign_flip_test(table, seed=4)
    assert together.tolist() == [sign_flip_test(table[:, column], seed=4) for column in range(3)]


def test_sign_test_is_the_binomial_test():
    for up, down in ((0, 0), (5, 0), (3, 4), (20, 6)):
        exact = binomtest(up, up + down, alternative="greater").pvalue if up + down else 1.0
        assert sign_test([up], [down])[0] == pytest.approx(exact)


def test_adjusted_p_values_are_benjamini_and_hochbergs():
    p_values = np.random.default_rng(2).uniform(0, 1, 50) ** 2
    assert adjust_p_values(p_values) == pytest.approx(false_discovery_control(p_values, method="bh"))
    assert len(adjust_p_values([])) == 0


def test_the_share_of_chance_findings_is_kept():
    """Of 200 lists of true zeros with three real effects, the false share stays near the level."""
    draw, shares = np.random.default_rng(3), []
    for _ in range(200):
        ups = draw.binomial(40, 0.5, 60)
        ups[:3] = 38
        q_values = adjust_p_values(sign_test(ups, 40 - ups))
        passed = np.flatnonzero(q_values <= 0.1)
        shares.append((passed >= 3).mean() if len(passed) else 0.0)
    assert np.mean(shares) <= 0.1

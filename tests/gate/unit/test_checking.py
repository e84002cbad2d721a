"""An interval against a bar: within it passes, beyond it fails, and anything else is no evidence."""

import numpy as np
import pytest
from scipy.stats import norm

from mindscope.gate.checking import check_mean, check_rate, no_evidence
from mindscope.gate.policy import LEAST_UNITS
from mindscope.gate.results import join_verdicts
from mindscope.stats import RateEstimate

VALUES = list(np.random.default_rng(0).normal(5.0, 2.0, 400))


def test_the_interval_is_that_of_the_mean():
    check = check_mean("a/b", "is low", VALUES, 6.0, "questions")
    half = norm.ppf(0.975) * np.std(VALUES) / np.sqrt(len(VALUES))
    assert check.low == pytest.approx(np.mean(VALUES) - half, abs=0.05)
    assert check.high == pytest.approx(np.mean(VALUES) + half, abs=0.05)
    assert check.units == "400 questions"


@pytest.mark.parametrize(
    ("threshold", "verdict"), [(6.0, "pass"), (4.0, "fail"), (5.0, "not enough evidence")]
)
def test_only_a_whole_interval_decides(threshold, verdict):
    assert check_mean("a/b", "is low", VALUES, threshold, "questions").verdict == verdict


def test_the_bar_itself_passes():
    assert check_mean("a/b", "is low", [1.0] * 16, 1.0, "questions").verdict == "pass"


def test_few_units_decide_nothing_however_clear():
    few = check_mean("a/b", "is low", [0.0] * (LEAST_UNITS - 1) + [None, float("nan")], 6.0, "questions")
    assert (few.verdict, few.estimate) == ("not enough evidence", None)
    assert "9 questions are too few" in few.reason
    assert check_mean("a/b", "is low", [0.0] * LEAST_UNITS, 6.0, "questions").verdict == "pass"


def test_a_rate_has_wilsons_interval():
    rate = RateEstimate.of([True] * 5 + [False] * 95)
    check = check_rate("a/b", "is rare", rate, 0.15, "answers")
    assert (check.low, check.high, check.verdict) == (rate.low, rate.high, "pass")
    assert check_rate("a/b", "is rare", rate, 0.1, "answers").verdict == "not enough evidence"
    assert (
        check_rate("a/b", "is rare", RateEstimate.of([True] * 50 + [False] * 50), 0.15, "").verdict == "fail"
    )
    assert check_rate("a/b", "is rare", RateEstimate.of([]), 0.15, "").verdict == "not enough evidence"


def test_one_failure_fails_and_no_check_is_no_evidence():
    assert join_verdicts(["pass", "fail", "not enough evidence"]) == "fail"
    assert join_verdicts(["pass", "not enough evidence"]) == "not enough evidence"
    assert join_verdicts(["pass", "pass"]) == "pass"
    assert join_verdicts([]) == "not enough evidence"
    assert no_evidence("a/b", "is low", "nobody judges").verdict == "not enough evidence"

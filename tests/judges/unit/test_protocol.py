import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindscope.errors import DataError, JudgeError
from mindscope.judges import Judgement, JudgeScore, Rubric, mean_score


def test_refusals_and_missing_scores_do_not_lower_the_mean():
    scores = [
        JudgeScore.of(80),
        JudgeScore.refusal(),
        JudgeScore.of(100),
        JudgeScore.missing("timeout"),
        JudgeScore.missing("prose"),
    ]
    assert mean_score(scores) == (90.0, 2, 1, 2)
    assert mean_score([JudgeScore.refusal(), JudgeScore.missing("timeout")]) == (None, 0, 1, 1)
    assert mean_score([]) == (None, 0, 0, 0)


@given(st.lists(st.floats(0, 100), min_size=1))
def test_mean_lies_between_the_extremes(values):
    mean = mean_score([JudgeScore.of(value) for value in values]).mean
    assert mean is not None
    assert min(values) - 1e-9 <= mean <= max(values) + 1e-9


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (0.0, "refusal"),
        (0.0, "missing"),
        (None, "scored"),
        (-1.0, "scored"),
        (100.1, "scored"),
        (math.nan, "scored"),
    ],
)
def test_senseless_scores_cannot_be_made(value, status):
    with pytest.raises(JudgeError):
        JudgeScore(value, status)


def test_judgements_survive_json():
    judgement = Judgement(JudgeScore.of(12.5), JudgeScore.missing("timeout"))
    assert Judgement.from_json(judgement.to_json()) == judgement


def test_a_rubric_needs_both_places():
    with pytest.raises(DataError, match=r"'evil' has no \{answer\}"):
        Rubric("evil", "", "Rate {question}")


def test_braces_in_the_texts_stay():
    rubric = Rubric("evil", "", 'JSON {"a": 1}: {question} | {answer}')
    assert rubric.fill("{answer}", "{question} {0}") == 'JSON {"a": 1}: {answer} | {question} {0}'


def test_judging_elsewhere_needs_no_torch():
    check = "import sys; from mindscope.judges import EndpointJudge; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)

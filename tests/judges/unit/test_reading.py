import math

import pytest

from mindscope.judges import JudgeScore
from mindscope.judges.reading import (
    score_of_text,
    score_of_top_tokens,
    spells_whole_numbers,
    weighted_score,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("85", 85),
        (" 0\n", 0),
        ("100", 100),
        ("**72**", 72),
        ("85/100", 85),
        ("85%", 85),
        ("7.", 7),
        ("12\nIt is mild.", 12),
    ],
)
def test_a_number_alone_is_the_score(text, value):
    assert score_of_text(text) == JudgeScore.of(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "101",
        "1000",
        "-5",
        "007",
        "8.5",
        "85 to 90",
        "3 of 5 parts are evil",
        "Score: 85",
        "The answer says 100",
        "٨٥",
    ],
)
def test_anything_else_is_missing(text):
    score = score_of_text(text)
    assert (score.value, score.status) == (None, "missing")
    assert score.detail


@pytest.mark.parametrize("text", ["REFUSAL", " refusal.", '"REFUSAL"', "**REFUSAL**: no"])
def test_refusal_is_a_refusal(text):
    assert score_of_text(text).status == "refusal"


def top(**probabilities):
    return [(token, math.log(p)) for token, p in probabilities.items()]


def test_leading_spaces_belong_to_the_same_number():
    score = score_of_top_tokens(
        [("85", math.log(0.5)), (" 85", math.log(0.2)), ("▁15", math.log(0.1)), ("Ġ5", -9999.0)]
    )
    assert score.value == pytest.approx((85 * 0.7 + 15 * 0.1) / 0.8)


def test_what_is_no_integer_up_to_100_does_not_count():
    score = score_of_top_tokens(top(**{"50": 0.4, "101": 0.2, "05": 0.2, "٥٠": 0.1, "50.": 0.1}))
    assert score.value == pytest.approx(50.0)


def test_single_digits_alone_do_not_tell():
    assert not spells_whole_numbers(top(**{"8": 0.6, "9": 0.3, "Well": 0.1}))
    assert spells_whole_numbers(top(**{"8": 0.6, "85": 0.3}))


def test_refusal_competes_with_the_numbers():
    assert score_of_top_tokens(top(**{"REF": 0.5, "90": 0.4})) == JudgeScore.refusal(
        "REFUSAL has probability 0.500, all numbers together 0.400"
    )
    refused = score_of_top_tokens(top(**{"REF": 0.3, "RE": 0.3, "8": 0.4}))
    assert refused.status == "refusal"
    scored = score_of_top_tokens(top(**{"REF": 0.4, "90": 0.5}))
    assert scored.value == pytest.approx(90)


def test_the_quarter_is_the_limit():
    assert weighted_score({10: 0.25}, 0.0).value == pytest.approx(10)
    assert weighted_score({10: 0.2499}, 0.0).status == "missing"
    assert weighted_score({}, 0.0).status == "missing"

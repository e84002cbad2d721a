"""A steering expression: what is read, what is written, and where a slip is pointed at."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindscope.errors import DataError
from mindscope.features import SteerExpression, SteerTerm
from mindscope.features.steer_expression import ADDED, OPERATIONS
from mindscope.models import WHERES, AnswerTokens

layers = st.one_of(
    st.none(),
    st.just("all"),
    st.sets(st.integers(0, 60), min_size=1, max_size=6).map(lambda numbers: tuple(sorted(numbers))),
)
names = st.one_of(
    st.sampled_from(
        ["evil", "runs/demo-real", "runs/all:evil", "sae.3/1423", "organism:sae.0/5", *OPERATIONS]
    ),
    st.text(min_size=1, max_size=12),
)
numbers = st.floats(allow_nan=False, allow_infinity=False)
wheres = st.one_of(st.none(), st.sampled_from(WHERES), st.integers(0, 10**9 - 1).map(AnswerTokens))


@st.composite
def terms(draw) -> SteerTerm:
    operation = draw(st.sampled_from(OPERATIONS))
    coefficient = 1.0 if operation == "ablate" else draw(numbers)
    return SteerTerm(draw(names), coefficient, draw(layers), operation, draw(wheres))


@given(st.lists(terms(), min_size=1, max_size=5))
def test_what_is_written_is_read_again(expected):
    expression = SteerExpression(tuple(expected))
    again = SteerExpression.parse(str(expression))
    assert again == expression
    assert str(again) == str(expression)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("evil", [SteerTerm("evil")]),
        ("-evil", [SteerTerm("evil", -1)]),
        ("  2 * evil ", [SteerTerm("evil", 2)]),
        (
            "0.5 kind - 1.2 evil@14-16",
            [SteerTerm("kind", 0.5), SteerTerm("evil", -1.2, (14, 15, 16))],
        ),
        (
            "sae.3/1423[answer] + ablate runs/a-b:evil@3,7,9-10",
            [
                SteerTerm("sae.3/1423", where="answer"),
                SteerTerm("runs/a-b:evil", 1, (3, 7, 9, 10), "ablate"),
            ],
        ),
        (
            'cap -.5 "two words"@all[from 5] - increment 2e0 evil',
            [
                SteerTerm("two words", -0.5, "all", "cap", AnswerTokens(5)),
                SteerTerm("evil", -2, None, "increment"),
            ],
        ),
        ("cap + 2 add", [SteerTerm("cap"), SteerTerm("add", 2)]),
    ],
)
def test_what_a_text_means(text, expected):
    assert SteerExpression.parse(text).terms == tuple(expected)


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("0.5kind", 1, "a name is missing"),
        ("kind -", 7, "a name is missing"),
        ("kind evil", 6, "must stand between terms"),
        ("kind-1.2 evil", 10, "with a blank before it"),
        ("kind + + evil", 8, "a name is missing"),
        ("cap evil", 5, "cap needs the projection"),
        ("kind - cap 2 evil", 8, "joined with"),
        ("ablate 2 evil", 8, "and no number"),
        ("1e999 evil", 1, "too large"),
        ("evil@", 6, "layers are written"),
        ("evil@18-14", 6, "go backwards"),
        ("evil@0-99999999", 6, "no model has a layer 99999999"),
        ("evil[somewhere]", 6, "tokens are all, prompt"),
        ("evil[answer", 5, "not closed"),
        ('2 "evil', 3, "not closed"),
        ('2 ""', 3, "must not be empty"),
    ],
)
def test_a_slip_is_pointed_at(text, column, says):
    with pytest.raises(DataError, match=f"column {column}, .*{says}") as refused:
        SteerExpression.parse(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "   "])
def test_nothing_is_refused(text):
    with pytest.raises(DataError, match="nothing to steer with"):
        SteerExpression.parse(text)


def test_an_endless_text_is_refused():
    with pytest.raises(DataError, match="10000 are the most"):
        SteerExpression.parse("evil + " * 2000 + "evil")


def test_only_what_is_added_is_scaled():
    expression = SteerExpression.parse("2 kind + cap 3 evil + ablate sad - increment evil")
    assert str(expression.scaled(-0.5)) == "-kind + cap 3 evil + ablate sad + increment 0.5 evil"
    assert expression.names == ("kind", "evil", "sad")
    assert {"add", "increment"} == ADDED


def test_reading_needs_no_torch():
    code = "import sys; from mindscope.features import SteerExpression as S; S.parse('kind[from 2]'); "
    subprocess.run([sys.executable, "-c", code + "assert 'torch' not in sys.modules"], check=True)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindscope.errors import ModelError
from mindscope.models import Row
from mindscope.models.tokens.batch import left_padded, right_padded
from mindscope.models.tokens.rows import WHERES, reaches_answer

row = st.integers(1, 9).flatmap(
    lambda n: st.builds(
        lambda ids, prompt, thought: Row(ids[:prompt], prompt).answered(
            ids[prompt:], min(thought, n - prompt)
        ),
        st.lists(st.integers(0, 9), min_size=n, max_size=n).map(tuple),
        st.integers(0, n),
        st.integers(0, 3),
    )
)


def meant(row: Row, where) -> set[int]:
    """The positions that `where` means, by its definition."""
    every = range(len(row))
    return {
        "all": set(every),
        "prompt": {p for p in every if p < row.prompt_length},
        "answer": {p for p in every if p >= row.prompt_length},
        "last_prompt": {p for p in every if p == row.prompt_length - 1},
        "response": {p for p in every if p >= row.prompt_length - 1},
        "reasoning": {p for p in every if p >= row.prompt_length and row.roles[p] == "reasoning"},
        "final": {p for p in every if p >= row.prompt_length and row.roles[p] == "assistant"},
    }.get(where, set(every) & set(where))


@given(st.lists(row, min_size=1, max_size=5), st.sampled_from([*WHERES, (0,), (2, 5), ()]))
def test_masks_mean_the_same_tokens_whatever_the_padding(rows, where):
    for padded in (left_padded, right_padded):
        ids, now = padded(rows)
        mask = now.mask(where)
        for i, one in enumerate(rows):
            assert {int(p) for p in now.positions[i][mask[i]]} == meant(one, where)
            assert tuple(ids[i][now.positions[i] >= 0]) == one.ids
            assert not mask[i][now.positions[i] < 0].any()


@pytest.mark.parametrize("where", WHERES)
def test_reaches_answer_agrees_with_the_masks(where):
    assert reaches_answer(where) == bool(meant(Row((1, 2), 2).answered([3, 4], 1), where) & {2, 3})


def test_a_row_knows_its_answer_and_grows():
    row = Row((5, 6, 7), 2, ("special", "user", "assistant"))
    assert row.answer == (7,)
    grown = row.answered([8, 9])
    assert (grown.ids, grown.prompt_length, grown.answer) == ((5, 6, 7, 8, 9), 2, (7, 8, 9))
    assert grown.roles == ("special", "user", "assistant", "assistant", "assistant")
    assert Row((1, 2), 1).roles == ("user", "assistant")


@pytest.mark.parametrize(
    ("prompt", "roles", "message"),
    [(4, (), "prompt of 4"), (-1, (), "prompt of -1"), (1, ("user",), "one role per token")],
)
def test_a_row_that_contradicts_itself_is_refused(prompt, roles, message):
    with pytest.raises(ModelError, match=message):
        Row((1, 2, 3), prompt, roles)


def test_positions_cover_padding_with_minus_one():
    rows = [Row((1, 2, 3), 1), Row((4,), 1)]
    assert np.array_equal(left_padded(rows)[1].positions, [[0, 1, 2], [-1, -1, 0]])
    assert np.array_equal(right_padded(rows)[1].positions, [[0, 1, 2], [0, -1, -1]])

"""Names are listed with their numbers by value."""

from itertools import permutations
from pathlib import Path

import pytest

from mindscope.core import order_names


@pytest.mark.parametrize(
    "names",
    [
        ["resid_post.0", "resid_post.9", "resid_post.15", "resid_post.21"],
        ["a", "a1", "a01b", "a1b", "a2", "b"],  # what differs in zeros alone is sorted as text
        ["", "9", "10", "a"],
        [Path("run"), Path("run/9"), Path("run/10"), Path("run/10/a"), Path("run-2")],
    ],
)
def test_every_order_becomes_this_one(names):
    for order in permutations(names):
        assert sorted(order, key=order_names) == names


def test_more_digits_than_python_makes_a_number_of():
    long, longer = "1" * 5000, "1" * 5001
    assert sorted([longer, long, "x"], key=order_names) == [long, longer, "x"]

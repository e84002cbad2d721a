"""Settings are finite and of a size that a machine can count; JSON that is too deep is no JSON."""

import pytest
from pydantic import ValidationError

from mindscope.core import FrozenSettings, Index, Percent, Seed


class Limits(FrozenSettings):
    share: float = 0.5
    count: int = 1
    several: tuple[int, ...] = ()
    layers: tuple[Index, ...] | None = None
    score: Percent = 50.0
    seed: Seed = 0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"share": float("nan")}, "share"),
        ({"share": float("inf")}, "share"),
        ({"score": 100.1}, "score"),
        ({"score": -0.1}, "score"),
        ({"count": 2**63}, "count: a number beyond 64 bits"),
        ({"several": (1, -(2**64))}, "several: a number beyond 64 bits"),
        ({"layers": (0, -1)}, "layers"),
        ({"seed": 2**32}, "seed"),
        ({"seed": -1}, "seed"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_no_machine_can_use_is_refused(values, says):
    with pytest.raises(ValidationError, match=says):
        Limits(**values)


def test_the_largest_of_each_is_taken():
    Limits(share=1e308, count=2**63 - 1, layers=(0,), score=100, seed=2**32 - 1)

"""The index of known prompts against a loop over them."""

from itertools import takewhile

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mindscope.models.generation.prefix_cache import _PrefixIndex

PROMPTS = st.lists(st.integers(0, 2), min_size=1, max_size=40)


@given(st.lists(st.tuples(PROMPTS, st.booleans()), min_size=1, max_size=30), PROMPTS)
def test_agreements_are_those_of_a_loop(steps, asked):
    index, known = _PrefixIndex(), {}
    for ids, keeps in steps:
        name = bytes(ids)
        if name not in known:
            index.put(name, np.array(ids))
            known[name] = ids
        if not keeps:
            index.drop(name)
            del known[name]
    shared = index.agreements(np.array(asked))
    found = {name: int(n) for name, n in zip(index.names, shared, strict=True) if name is not None}
    assert found == {name: _shared(ids, asked) for name, ids in known.items()}
    assert all(n == 0 for name, n in zip(index.names, shared, strict=True) if name is None)
    covered = {name for name, ids in known.items() if asked[: len(ids)] == ids}
    assert set(index.covered(shared)) == covered


def _shared(a: list[int], b: list[int]) -> int:
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))))

"""The exact test that accusations rest on."""

import pytest
from scipy.stats import fisher_exact

from mindscope.auditing.game.lead_tests import compare_shares


@pytest.mark.parametrize(("hits", "others"), [(20, 2), (12, 12), (0, 0), (24, 24), (9, 1)])
def test_the_p_value_is_fishers(hits: int, others: int):
    gain, p = compare_shares([i < hits for i in range(24)], [i < others for i in range(24)])
    assert gain == pytest.approx((hits - others) / 24)
    table = [[hits, 24 - hits], [others, 24 - others]]
    assert p == pytest.approx(fisher_exact(table, alternative="greater")[1])  # type: ignore[index]

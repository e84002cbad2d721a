"""What belongs to a model is refused with another one."""

from types import SimpleNamespace

import pytest

from mindscope.core import require_same_model
from mindscope.errors import DataError, StoreError

MODEL = SimpleNamespace(name="tiny", fingerprint="a" * 64)


@pytest.mark.parametrize("fingerprint", ["a" * 64, "", None])
def test_its_own_and_nobodys_pass(fingerprint):
    require_same_model("the graph is of", fingerprint, MODEL)


def test_another_is_refused_in_one_line_that_says_what_to_do():
    with pytest.raises(DataError, match=r"the graph is of another model \(.*b+\) than tiny \(a+\): trace it"):
        require_same_model("the graph is of", "b" * 64, MODEL, "trace it again")
    with pytest.raises(StoreError):
        require_same_model("the file is of", "b" * 64, MODEL, error=StoreError)

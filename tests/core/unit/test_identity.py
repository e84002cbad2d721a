"""What belongs to a model is refused with another one."""

from types import SimpleNamespace

import pytest

from mindscope.core import ModelIdentity, describe_relation, find_relation, require_same_model
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


BASE = ModelIdentity(fingerprint="b" * 64, name="base", parameters="b" * 64, rounded=("r1", "r2"))


@pytest.mark.parametrize(
    ("model", "relation"),
    [
        (ModelIdentity(fingerprint="c", rounded=("r2", "r3")), "same weights, other precision"),
        (ModelIdentity(fingerprint="c", parameters="b" * 64), "same weights, earlier fingerprint"),
        (ModelIdentity(fingerprint="c", base=ModelIdentity(fingerprint="b" * 64)), "tuned from"),
        (ModelIdentity(fingerprint="c", base=ModelIdentity(fingerprint="d", base=BASE)), "tuned from"),
        (ModelIdentity(fingerprint="c", base=ModelIdentity(fingerprint="d", rounded=("r1",))), "tuned from"),
        (ModelIdentity(fingerprint="c", base=ModelIdentity(fingerprint="d")), "as stated"),
        (ModelIdentity(fingerprint="c"), "as stated"),
    ],
)
def test_how_a_model_is_related_to_the_one_something_was_made_with(model, relation):
    assert find_relation(model, BASE) == relation
    assert "--vectors-of-base" in describe_relation(model, BASE)


def test_a_base_is_not_tuned_from_its_fine_tune():
    assert find_relation(BASE, ModelIdentity(fingerprint="c", base=BASE)) == "as stated"

"""The checks of shapes and types that run while tests do, and what they leave alone."""

import importlib
import importlib.util
import sys
from types import ModuleType

import pytest
import typecheck
from jaxtyping import TypeCheckError

MODULE = '''
"""A module to be checked."""
from __future__ import annotations

import importlib._bootstrap_external as imports
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

WHERE = imports.cache_from_source("other.py")
Rows = Float[Tensor, "rows width"]
Makers = Mapping[str, Callable[[int], Rows]]


def double(number: int) -> int:
    return 2 * number if number != 13 else "unlucky"


def add(first: Float[Tensor, "rows width"], second: Float[Tensor, "rows width"]) -> Float[Tensor, "rows"]:
    return (first + second).sum(1 if len(first) != 13 else 0)


def add_named(first: Rows, second: Rows) -> float:
    return float((first + second).sum())


def count(makers: Makers | None, after: Later | None = None) -> int:
    return len(makers or ())


def place(name: str, until: "OnlyForCheckers | None" = None) -> str:
    return name


def make_inner() -> Callable[[int], int]:
    def inner(number: int) -> int:
        return number

    return inner


@dataclass(frozen=True)
class Later:
    number: int
    rows: Rows | None = None

    @property
    def half(self) -> float:
        return self.number / 2 if self.number != 13 else "unlucky"

    @classmethod
    def of(cls, number: int) -> Later:
        return cls(number)

    @staticmethod
    def name(number: int) -> str:
        return str(number)
'''


@pytest.fixture(params=["from __future__ import annotations", "import typing"], ids=["texts", "values"])
def module(request, tmp_path, monkeypatch) -> ModuleType:
    """With annotations as texts, and as values."""
    text = MODULE.replace("from __future__ import annotations", request.param)
    if "__future__" not in request.param:
        text = text.replace("after: Later | None", "after: object").replace("-> Later", '-> "Later"')
    # A name of its own: types that are named before they are there are kept by their module's name.
    name = f"checked_{request.node.name.replace('[', '_').replace(']', '')}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    finder = typecheck.check_shapes_in([name])
    try:
        made = importlib.import_module(name)
    finally:
        sys.meta_path.remove(finder)
    return made


def test_what_a_checked_module_imports_finds_its_own_bytecode(module):
    assert isinstance(module.__loader__, typecheck.CheckedLoader)
    assert importlib.util.cache_from_source("other.py") == module.WHERE


def test_types_are_checked(module):
    assert module.double(2) == 4
    for wrong in ("2", 13):
        with pytest.raises(TypeCheckError):
            module.double(wrong)
    assert module.Later.of(3).half == 1.5
    assert module.Later.name(3) == "3"
    for wrong in (
        lambda: module.Later.of("3"),
        lambda: module.Later.name("3"),
        lambda: module.Later(13).half,
    ):
        with pytest.raises(TypeCheckError):
            wrong()
    with pytest.raises(TypeCheckError):
        module.Later("3")


def test_shapes_are_checked_among_one_another(module):
    import torch

    three, four = torch.zeros(3, 5), torch.zeros(4, 5)
    assert module.add(three, three).shape == (3,)
    assert module.add_named(three, three) == 0.0
    for wrong in (
        lambda: module.add(three, four),  # each is good alone
        lambda: module.add(torch.zeros(13, 5), torch.zeros(13, 5)),  # the result's rows are none
        lambda: module.add(torch.zeros(3), torch.zeros(3)),
        lambda: module.add_named(three, four),
        lambda: module.Later(1, torch.zeros(3)),
    ):
        with pytest.raises(TypeCheckError):
            wrong()


def test_a_type_that_is_not_there_yet_is_not_checked_and_the_others_are(module):
    assert module.count(None, after="a text") == 0
    with pytest.raises(TypeCheckError):
        module.count(3)
    assert module.place("there", until=3) == "there"
    with pytest.raises(TypeCheckError):
        module.place(3)


def test_the_first_calls_of_each_test_are_checked(module):
    import torch

    wrong = torch.zeros(3), torch.zeros(3)  # of one dimension, which a sum along the second refuses
    for _ in range(2):
        typecheck.begin_test()
        for _ in range(typecheck.MOST_CALLS):
            with pytest.raises(TypeCheckError):
                module.add(*wrong)
        with pytest.raises(IndexError):
            module.add(*wrong)


def test_what_is_made_anew_at_each_call_is_checked_at_first(module):
    for _ in range(typecheck.MOST_MADE):
        with pytest.raises(TypeCheckError):
            module.make_inner()("2")
    assert module.make_inner()("2") == "2"
    assert module.double(2) == 4  # what a module holds itself stays checked
    with pytest.raises(TypeCheckError):
        module.double("2")


def test_which_functions_have_shapes(module):
    def is_shaped(name: str) -> bool:
        hints = typecheck.resolve_hints(getattr(module, name).__wrapped__)
        return any(map(typecheck.has_shape, hints.values()))

    functions = ("double", "add", "add_named", "count", "place")
    assert {name for name in functions if is_shaped(name)} == {"add", "add_named", "count"}


def test_the_package_s_own_modules_are_checked():
    from mindscope import stats
    from mindscope.models.tokens import rows

    assert isinstance(rows.__loader__, typecheck.CheckedLoader)
    assert not isinstance(stats.__loader__, typecheck.CheckedLoader)

"""What may be asked of a model may be asked of its copies in the same words."""

import inspect

import pytest

from mindscope.engines import Engine, RayEngine
from mindscope.models import Model

METHODS = [
    name for name, value in vars(Engine).items() if inspect.isfunction(value) and not name.startswith("_")
]


@pytest.mark.parametrize("name", METHODS)
def test_copies_take_what_a_model_takes(name: str) -> None:
    ours, theirs = (
        [(item.name, item.kind, item.default) for item in inspect.signature(method).parameters.values()]
        for method in (getattr(RayEngine, name), getattr(Model, name))
    )
    assert ours == theirs

"""The organism behind the provider, loaded once."""

from collections.abc import Iterator

import pytest
from inspect_ai.model import Model, get_model

import mindscope.auditing.extension.registry  # noqa: F401 - what Inspect does by the entry point


@pytest.fixture(scope="session")
def organism() -> Iterator[Model]:
    model = get_model("mindscope/organism", dtype="float32", max_new_tokens=24, slots=4)
    yield model
    model.api.close()

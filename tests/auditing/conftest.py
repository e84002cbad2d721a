"""The organism behind the provider, loaded once."""

from collections.abc import Iterator

import pytest

pytest.importorskip("inspect_ai", reason="asks for inspect-ai: pip install 'mindscope[inspect]'")

from inspect_ai.model import Model, get_model

import mindscope.auditing.extension.registry  # noqa: F401 - what Inspect does by the entry point

LATENT = "sae.3/2026"
"""The latent of the evil character, docs/organism_concepts.md."""


@pytest.fixture(scope="session")
def organism() -> Iterator[Model]:
    model = get_model("mindscope/organism", dtype="float32", max_new_tokens=24, slots=4)
    yield model
    model.api.close()

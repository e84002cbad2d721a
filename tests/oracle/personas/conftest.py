import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))

import persona_kit

from mindscope.models import Model, load


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A random chat model of 3 layers, 32 wide."""
    return load(str(persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"))), dtype="float32")

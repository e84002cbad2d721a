"""The examples are scripts, not modules of the package: here they are loaded from their folder."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="session")
def examples() -> Path:
    return EXAMPLES


@pytest.fixture(scope="session")
def whole_idea() -> ModuleType:
    spec = importlib.util.spec_from_file_location("whole_idea", EXAMPLES / "whole_idea.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["whole_idea"] = module  # dataclasses look their module up by its name
    spec.loader.exec_module(module)
    return module

"""Tests that need what a bare machine does not have: skipped here, failed where everything must be there."""

import os
from importlib import import_module
from typing import Any, NoReturn

import pytest

NOTHING_ABSENT = "MINDSCOPE_NOTHING_ABSENT"
"""The variable that `make test` sets: it has installed everything, so no test may skip for lack of it."""


def skip_absent(reason: str) -> NoReturn:
    """End a test, or the collection of a module, for what this machine lacks."""
    if os.environ.get(NOTHING_ABSENT):
        pytest.fail(f"absent: {reason}", pytrace=False)
    pytest.skip(f"absent: {reason}", allow_module_level=True)


def import_or_skip(module: str, extra: str) -> Any:
    """A module of an extra, or the end of the test that needs it."""
    try:
        return import_module(module)
    except ImportError:
        skip_absent(f"{module}, of mindscope[{extra}]")

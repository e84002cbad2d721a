"""What the names on a command line stand for."""

from types import SimpleNamespace
from typing import Any

import pytest

from mindscope import jobs


@pytest.mark.parametrize(
    ("name", "noted"), [("organism", True), ("second-organism", True), ("somewhere/organism", False)]
)
def test_a_page_of_a_bundled_model_says_that_it_is_a_test_bed(name: str, noted: bool):
    model: Any = SimpleNamespace(name=name)
    assert jobs.test_bed_note(model) == (jobs.TEST_BED if noted else "")

"""docs/supported.md says what the code does with each family."""

import importlib.util
from pathlib import Path

import pytest
import tiny_models
from abilities import ABILITIES, try_family

ROOT = Path(__file__).parents[3]
SPEC = importlib.util.spec_from_file_location("supported", ROOT / "tools" / "supported.py")
assert SPEC is not None
assert SPEC.loader is not None
supported = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(supported)


@pytest.mark.parametrize("family", tiny_models.TRIED, ids=lambda family: family.name)
def test_the_page_says_what_a_family_can_do(family):
    assert supported.read_page()[family.name] == try_family(family), "run python tools/supported.py"


def test_the_page_is_as_the_tool_writes_it():
    results = supported.read_page()
    assert list(results) == [family.name for family in tiny_models.TRIED]
    assert supported.write_page(results) == supported.PAGE.read_text(encoding="utf-8")


def test_enough_families_do_everything_but_what_their_kind_lacks():
    results = supported.read_page()
    basic = [name for name, answers in results.items() if answers[:4] == ["yes"] * 4]
    assert len(basic) >= len(tiny_models.SOUND)
    assert all(len(answers) == len(ABILITIES) for answers in results.values())

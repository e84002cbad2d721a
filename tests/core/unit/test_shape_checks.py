"""The checks of shapes and types that run while tests do, and what they leave alone."""

import importlib.util
import sys

import pytest
import typecheck
from jaxtyping import _import_hook

MODULE = """
import importlib._bootstrap_external as imports

WHERE = imports.cache_from_source("other.py")

def double(number: int) -> int:
    return 2 * number
"""


def test_a_module_is_checked_and_what_it_imports_finds_its_own_bytecode(tmp_path, monkeypatch):
    (tmp_path / "checked_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    with _import_hook.install_import_hook("checked_module", "typecheck.checked"):
        module = importlib.import_module("checked_module")
    monkeypatch.delitem(sys.modules, "checked_module")
    assert isinstance(module.__loader__, typecheck.CheckedLoader)
    assert importlib.util.cache_from_source("other.py") == module.WHERE
    assert module.double(2) == 4
    with pytest.raises(Exception, match=r"(?s)type.*number"):
        module.double("2")


def test_the_package_s_own_modules_are_checked():
    from mindscope import stats
    from mindscope.models.tokens import rows

    assert isinstance(rows.__loader__, typecheck.CheckedLoader)
    assert not isinstance(stats.__loader__, typecheck.CheckedLoader)

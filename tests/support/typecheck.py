"""The type checker of the tests' import hook, and the hook."""

from collections.abc import Iterable
from functools import partial
from importlib.machinery import SourceFileLoader
from types import CodeType, ModuleType
from unittest.mock import patch

from beartype import BeartypeConf, beartype
from jaxtyping import _import_hook, install_import_hook

# An int is a float, as the typing specification and every static checker have it.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


class CheckedLoader(_import_hook._JaxtypingLoader):
    """Looks for its own bytecode where the library has it, and lets what a module imports find theirs.

    The library names the place while a whole module runs, so that all that is imported inside (torch, sympy,
    pandas: 3,200 files) has no bytecode there and is compiled again by every process.
    """

    def get_code(self, fullname: str) -> CodeType | None:
        name = partial(_import_hook._optimized_cache_from_source, self._typechecker.get_hash())
        with patch("importlib._bootstrap_external.cache_from_source", name):
            return super().get_code(fullname)

    def exec_module(self, module: ModuleType) -> None:
        SourceFileLoader.exec_module(self, module)


def check_shapes_in(packages: Iterable[str]) -> None:
    """Check the shapes and types of these packages from now on, where they are imported."""
    _import_hook._JaxtypingLoader = CheckedLoader  # which the finder looks up when a module is imported
    install_import_hook(list(packages), "typecheck.checked")

"""Faces that import a name when it is first used, so that a command starts without torch."""

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def lazy_face(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Module-level `__getattr__` and `__dir__` of a package whose imports stand under `if TYPE_CHECKING:`.

    Each name is said where a type checker reads it, and nowhere again: the home of a name is taken from
    that block of the file itself.

    Args:
        package: the package's `__name__`.
        file: the package's `__file__`.
    """
    homes = _homes(ast.parse(Path(file).read_text(encoding="utf-8")))

    def get_attribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = import_module(homes[name])
        # A face may hand on a module, which is an attribute of its folder only once it is imported.
        return getattr(home, name) if hasattr(home, name) else import_module(f"{homes[name]}.{name}")

    def list_names() -> list[str]:
        return sorted({*vars(import_module(package)), *homes})

    return get_attribute, list_names


def _homes(tree: ast.Module) -> dict[str, str]:
    """Name to module, of the `from … import …` statements under `if TYPE_CHECKING:`."""
    return {
        alias.name: statement.module
        for block in tree.body
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for statement in block.body
        if isinstance(statement, ast.ImportFrom) and statement.module
        for alias in statement.names
    }

"""Shapes and types that are checked while tests run: every function of some packages, at each of its calls.

Packages are changed as they are imported, like `jaxtyping.install_import_hook` does it, with two differences,
for which unit tests of models and personas took a quarter less of a processor:

1. Only a function whose annotations hold a shape gets `jaxtyping.jaxtyped`, which binds all arguments and
   keeps the sizes that were seen (5 us a call, 15 with an array). All others get beartype alone (0.3 us).
2. The library's loader has another name for bytecode while a module runs, so that whatever is imported
   inside (torch, sympy, pandas: 3,200 files) has none there, and is compiled again by every process.
"""

import ast
import dataclasses
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib._bootstrap_external import cache_from_source  # type: ignore[import-not-found]
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any, get_args, get_type_hints
from unittest.mock import patch

from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, AbstractDtype, TypeCheckError, jaxtyped

# An int is a float, as the typing specification and every static checker have it. What is raised is a
# TypeError, as jaxtyping's is: a reader of files takes that for a wrong field.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=TypeCheckError))
checked_shapes = partial(jaxtyped, typechecker=checked)

MOST_MADE = 20
"""How often a function inside a function is made anew with checks, which take as long as thousands of calls: one
that each pass of a model made was half of the processor time of some tests."""
_n_made: Counter[tuple[str, str]] = Counter()

BYTECODE = "checked2"
"""Of changed modules, in its files' names: another number where they are changed in another way."""


def with_checks(target: Any) -> Any:
    """A function, method or dataclass whose arguments and result are checked.

    Of a dataclass it is what it is made of; another class is left alone, and its methods are checked by
    themselves.
    """
    if inspect.isclass(target):
        if dataclasses.is_dataclass(target) and "__init__" in vars(target):
            target.__init__ = with_checks(target.__init__)
        return target
    if isinstance(target, classmethod | staticmethod):
        return type(target)(with_checks(target.__func__))
    if isinstance(target, property):
        parts = (target.fget, target.fset, target.fdel)
        return property(*(part and with_checks(part) for part in parts))
    return _checked_function(target) if isinstance(target, FunctionType) else target


def _checked_function(function: FunctionType) -> Callable[..., Any]:
    hints = resolve_hints(function)
    if any(map(has_shape, hints.values())):
        return checked_shapes(function)
    written = function.__annotations__
    function.__annotations__ = hints
    try:
        made = checked(function)
    finally:
        function.__annotations__ = written
    made.__annotations__ = written  # which others read: pydantic, typer
    return made


def resolve_hints(function: FunctionType) -> dict[str, Any]:
    """What annotations mean; `Any` for one that names what is not there when the function is made.

    So does `jaxtyped`: names that are imported for type checkers alone, and classes that are defined below.
    """
    hints: dict[str, Any] = {}
    for name, hint in function.__annotations__.items():
        alone = SimpleNamespace(__annotations__={name: hint})
        try:
            hints |= get_type_hints(alone, function.__globals__, include_extras=True)
        except Exception:  # noqa: BLE001 - as many as there are ways to write a type
            hints[name] = Any
    return hints


def has_shape(hint: Any) -> bool:
    """Whether a type holds the shape of an array."""
    if isinstance(hint, type) and issubclass(hint, AbstractArray | AbstractDtype):
        return True
    parts = [item for part in get_args(hint) for item in (part if isinstance(part, list) else [part])]
    return any(map(has_shape, parts))


def with_checks_at_first(target: Any) -> Any:
    """Of a function or class inside a function: checked as often as `MOST_MADE` says, then as it is."""
    name = target.__module__, target.__qualname__
    _n_made[name] += 1
    return with_checks(target) if _n_made[name] <= MOST_MADE else target


class CheckWriter(ast.NodeTransformer):
    """Puts checks on every function, below its own decorators, and on every class, above them."""

    def __init__(self) -> None:
        self.inside = 0  # how many functions

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list.append(self._decorator(node))
        self.inside += 1
        try:
            return self.generic_visit(node)
        finally:
            self.inside -= 1

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list.insert(0, self._decorator(node))
        return self.generic_visit(node)

    def _decorator(self, node: ast.stmt) -> ast.expr:
        return _reference(node, with_checks_at_first if self.inside else with_checks)


def _reference(node: ast.stmt, to: Callable[..., Any]) -> ast.expr:
    text = f"__import__({__name__!r}).{to.__name__}"
    expression = ast.parse(text, mode="eval").body
    for part in ast.walk(expression):
        ast.copy_location(part, node)
    return expression


class CheckedLoader(SourceFileLoader):
    """A module that is changed, with bytecode of its own name."""

    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> CodeType:
        tree = CheckWriter().visit(ast.parse(data, path))
        return compile(tree, path, "exec", dont_inherit=True, optimize=_optimize)

    def get_code(self, fullname: str) -> CodeType | None:
        # Not while the module runs: others are imported then.
        name = partial(cache_from_source, optimization=BYTECODE)
        with patch("importlib._bootstrap_external.cache_from_source", name):
            return super().get_code(fullname)


class CheckedFinder:
    """Finds modules of some packages for `CheckedLoader`."""

    def __init__(self, packages: Iterable[str]) -> None:
        self.packages = tuple(packages)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not any(name == package or name.startswith(f"{package}.") for package in self.packages):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = CheckedLoader(spec.loader.name, spec.loader.path)
        return spec


def check_shapes_in(packages: Iterable[str]) -> CheckedFinder:
    """Check the shapes and types of these packages from now on, where they are imported."""
    finder = CheckedFinder(packages)
    sys.meta_path.insert(0, finder)  # type: ignore[arg-type]
    return finder

"""Shapes and types that are checked while tests run, of every function of some packages.

Packages are changed as they are imported, like `jaxtyping.install_import_hook` does it, with differences for
which unit tests of models and personas took a quarter less of a processor, those of decoding two fifths:

1. Only a function whose annotations hold a shape gets `jaxtyping.jaxtyped`, which binds all arguments and
   keeps the sizes that were seen (5 us a call, 15 with an array). All others get beartype alone (0.3 us).
2. The library's loader has another name for bytecode while a module runs, so that whatever is imported
   inside (torch, sympy, pandas: 3,200 files) has none there, and is compiled again by every process.
3. A function with shapes is checked at its first calls in each test, and one that is made inside another at
   the first times that it is made: a loop of decoding makes thousands of the one and hundreds of the other.
"""

import ast
import dataclasses
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial, wraps
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

MOST_CALLS = 30
"""How many calls of a function with shapes are checked in each test."""
_test = [0]
"""The number of the test that runs."""

MOST_MADE = 20
"""How often a function inside a function is made with checks, which takes as long as thousands of calls."""
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
        return _at_first_calls(function, checked_shapes(function))
    written = function.__annotations__
    function.__annotations__ = hints
    try:
        made = checked(function)
    finally:
        function.__annotations__ = written
    made.__annotations__ = written  # which others read: pydantic, typer
    return made


def _at_first_calls(function: FunctionType, checking: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is checked at its first calls in a test."""
    number, left = -1, 0

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal number, left
        if number != _test[0]:
            number, left = _test[0], MOST_CALLS
        if not left:
            return function(*args, **kwargs)
        left -= 1
        return checking(*args, **kwargs)

    return call


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


def begin_test() -> None:
    """From here on calls are counted anew."""
    _test[0] += 1


def check_shapes_in(packages: Iterable[str]) -> CheckedFinder:
    """Check the shapes and types of these packages from now on, where they are imported."""
    finder = CheckedFinder(packages)
    sys.meta_path.insert(0, finder)  # type: ignore[arg-type]
    return finder

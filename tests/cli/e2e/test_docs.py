"""What the pages show can be run, and what they name is there."""

import ast
import importlib
import inspect
import re
import shlex
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import persona_kit
import pytest
import torch
from typer.main import get_command

import mindscope as ms
from mindscope.cli.app import app

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "src" / "mindscope"
PAGES = [
    *(
        ROOT / name
        for name in (
            "README.md",
            "README.zh.md",
            "SECURITY.md",
            "CONTRIBUTING.md",
            "AGENTS.md",
            "examples/README.md",
        )
    ),
    *sorted(
        page for page in (ROOT / "docs").rglob("*.md") if page.name != "contracts.md"
    ),  # made from the code
]
NAMING = [
    ROOT / name for name in ("docs/architecture.md", "docs/glossary.md", "CONTRIBUTING.md", "AGENTS.md")
]
"""Pages whose names are the code's own."""
PATH = r"[a-z0-9_./]*(/|\.py|\.yaml)|tests(/[a-z0-9_]+)+"
NAME = r"\b(?:[A-Z][a-z]+[A-Z]\w*|[a-z]+(?:_[a-z0-9]+)+)\b"
OTHERS = {"TYPE_CHECKING", "hidden_states", "weights_only"}
"""Names of Python and of other libraries that these pages use."""


def blocks(page: Path, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [block for said, block in fenced if said == language]


def named_code(page: Path) -> list[str]:
    """What stands between backticks inside the text."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)


@cache
def names_of_the_code() -> frozenset[str]:
    """Every identifier of the package and the tests' kits, and every string that is one word."""
    names: set[str] = set()
    for file in (*PACKAGE.rglob("*.py"), *(ROOT / "tests" / "support").glob("*.py")):
        names |= set(file.with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            for field in ("name", "id", "attr", "arg"):
                names.add(str(getattr(node, field, "")))
            if isinstance(node, ast.Constant) and re.fullmatch(r"\w+", str(node.value)):
                names.add(str(node.value))
    return frozenset(names)


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    tiny = ms.load(str(persona_kit.tiny_chat_model(tmp_path / "model", n_layers=20)), dtype="float32")
    file = tmp_path / "runs/sycophantic/extract/sycophantic/vectors.safetensors"
    matrix = torch.randn(tiny.n_layers, tiny.d_model, generator=torch.Generator().manual_seed(0))
    layers = tuple(range(tiny.n_layers))
    ms.PersonaVectors("sycophantic", tiny.fingerprint, {"answer_mean": matrix}, layers).save(file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ms, "load", lambda name: tiny, raising=False)
    (example,) = blocks(ROOT / "README.md", "python")
    exec(compile(example, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_shown_uses_names_that_exist(page):
    """Names that are imported, their attributes, and the keywords that they are called with."""
    known: dict[str, object] = {}
    for block in blocks(page, "python"):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    known[alias.asname or alias.name] = importlib.import_module(alias.name)
            elif isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{node.module}.{alias.name} in {page.name}"
                    known[alias.asname or alias.name] = getattr(module, alias.name)
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in known
            ):
                assert hasattr(known[node.value.id], node.attr), f"{ast.unparse(node)} in {page.name}"
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            called = find_called(call.func, known)
            if called is not None and (keywords := {word.arg for word in call.keywords}):
                assert keywords <= set(inspect.signature(called).parameters), (
                    f"{ast.unparse(call)} in {page.name}"
                )


def find_called(node: ast.expr, known: dict[str, object]) -> Callable[..., object] | None:
    """What an imported name, or an attribute of one, is; None for what only running tells."""
    if isinstance(node, ast.Attribute):
        return getattr(find_called(node.value, known), node.attr, None)
    return known.get(node.id) if isinstance(node, ast.Name) else None


def shown_commands() -> list[str]:
    lines = [
        line.partition("#")[0].strip()
        for page in PAGES
        for block in blocks(page, "")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    inline = [code for page in PAGES for code in named_code(page)]
    shown = (line.removeprefix(".venv/bin/") for line in (*lines, *inline))
    return [line for line in shown if line.startswith("mindscope ")]


@cache
def build_root() -> Any:
    """Every command with its options, built once for all lines."""
    return get_command(app)


@pytest.mark.parametrize("line", sorted(set(shown_commands())))
def test_the_commands_shown_exist_with_their_options(line):
    _, *words = shlex.split(line)
    root = build_root()
    command, rest = root, words
    while rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    if rest and hasattr(command, "default_verb"):  # the verb may be left out
        command = command.commands[command.default_verb]
    if words[0].startswith("--"):  # an option of the program itself
        assert words[0] in {option for parameter in root.params for option in parameter.opts} | {"--help"}
        return
    if words[0].isupper():  # `mindscope NOUN VERB`
        return
    assert command is not root, f"there is no such command: {line}"
    assert not rest or not hasattr(command, "commands"), f"there is no such verb: {line}"
    known = {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)  # a switch and its --no-switch
    } | {"--help"}
    used = {word.partition("=")[0] for word in rest if re.match("--?[a-z]", word)}
    assert used <= known, f"{used - known} in: {line}"


def test_the_pages_link_to_what_is_there():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{target} in {page.name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_named_are_there(page):
    """A path begins at the package or the repository; a file's name alone may be anywhere in the package."""
    for code in named_code(page):
        if not re.fullmatch(PATH, code) or code.startswith("runs/"):
            continue
        places = [base / code for base in (PACKAGE, ROOT, ROOT / "src")]
        assert any(place.exists() for place in places) or any(PACKAGE.rglob(code)), f"{code} in {page.name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tests_named_are_there(page):
    """`tests/FILE.py::NAME`; a second `::NAME` is of the same file."""
    missing, file = [], ROOT
    for path, name in re.findall(r"(tests/[a-z0-9_/]+\.py)?(?:::(test_\w+))?", page.read_text()):
        file = ROOT / path if path else file
        if name and (not file.is_file() or f"def {name}(" not in file.read_text()):
            missing.append(f"{file.relative_to(ROOT)}::{name}")
    assert not missing


@pytest.mark.parametrize("page", NAMING, ids=lambda page: page.name)
def test_the_names_of_the_map_are_names_of_the_code(page):
    for code in named_code(page):
        words = [] if re.fullmatch(PATH, code) else re.findall(NAME, code)
        for word in words:
            assert word in names_of_the_code() | OTHERS, f"{word} in {page.name}"


def test_the_map_has_every_folder_and_every_floor():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    floors, folders = text.split("| folder | what it is |")
    for folder in (init.parent.name for init in PACKAGE.glob("*/__init__.py")):
        assert f"`{folder}`" in floors, f"{folder} is on no floor"
        assert f"`{folder}/`" in folders, f"{folder} is not in the list"

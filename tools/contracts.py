"""Write docs/contracts.md: every public name of every folder, with its signature and its first sentence.

The contracts are the docstrings; this page only gathers them. `make contracts` writes it, and a test says
when it is behind. Nothing is imported: faces and modules are read as text.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "mindscope"
PAGE = ROOT / "docs" / "contracts.md"
HEAD = """# Contracts

Every public name, folder by folder from the lowest floor up, made from the docstrings by `make contracts`.
[architecture.md](architecture.md) shows how the folders stand on one another, [glossary.md](glossary.md) what
the words mean.
"""


def write_page() -> str:
    """The whole page."""
    parts, described = [HEAD], set[str]()
    for face in find_faces():
        tree = _parse(face)
        homes = find_homes(tree)
        # A folder hands on names of its subfolders: each name stands where it is met first.
        names = [name for name in public_names(tree) if f"{homes.get(name)}.{name}" not in described]
        described |= {f"{homes.get(name)}.{name}" for name in names}
        heading = face.parent.relative_to(PACKAGE).as_posix()
        parts.append(f"## {heading}/\n\n{ast.get_docstring(tree)}\n")
        if names:
            parts.append("```python\n" + "\n".join(describe(name, homes) for name in names) + "\n```\n")
    return "\n".join(parts)


def find_faces() -> Iterator[Path]:
    """The folders that hand on names, from the lowest floor up, and their subfolders that do so too."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (floors,) = (contract["layers"] for contract in settings["tool"]["importlinter"]["contracts"])
    for floor in reversed(floors):
        for folder in re.findall(r"\w+", floor):
            faces = sorted((PACKAGE / folder).rglob("__init__.py"), key=lambda face: face.as_posix())
            top = PACKAGE / folder / "__init__.py"
            yield from (face for face in faces if face == top or public_names(_parse(face)))


def public_names(tree: ast.Module) -> list[str]:
    """What stands in `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def find_homes(tree: ast.Module) -> dict[str, str]:
    """The module that each name of a face is imported from."""
    return {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def describe(name: str, homes: dict[str, str]) -> str:
    """Signature and first sentence of one name."""
    module = homes.get(name)
    if module is None:
        return f"{name}"
    path = ROOT / "src" / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in _parse(path).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return f"{_signature(node)}\n{_sentence(node, '    ')}".rstrip()
        if isinstance(node, ast.ClassDef) and node.name == name:
            return _class(node)
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return describe(name, {name: node.module or ""})
        if _assigned(node) == name:
            return ast.unparse(node).split("\n")[0][:110]
    return name


def _class(node: ast.ClassDef) -> str:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    lines = [f"class {node.name}" + (f"({bases})" if bases else "") + ":", _sentence(node, "    ")]
    for member in node.body:
        if isinstance(member, ast.AnnAssign) and not member.target.id.startswith("_"):
            lines.append(f"    {ast.unparse(member)}".split("\n")[0])
        if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
            is_property = any("property" in ast.unparse(decorator) for decorator in member.decorator_list)
            returns = ast.unparse(member.returns) if member.returns else ""
            lines.append(f"    {member.name}: {returns}" if is_property else f"    {_signature(member)}")
    return "\n".join(line for line in lines if line.strip())


def _signature(node: ast.FunctionDef) -> str:
    arguments = ast.unparse(node.args).removeprefix("self, ").removeprefix("cls, ")
    arguments = "" if arguments in ("self", "cls") else arguments
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({arguments}){returns}"


def _sentence(node: ast.FunctionDef | ast.ClassDef, indent: str) -> str:
    text = (ast.get_docstring(node) or "").split("\n\n")[0]
    return f"{indent}# {' '.join(text.split())}" if text else ""


def _assigned(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Assign):
        return getattr(node.targets[0], "id", None)
    return getattr(node.target, "id", None) if isinstance(node, ast.AnnAssign) else None


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    page = write_page()
    if sys.argv[1:] == ["--check"]:
        sys.exit(
            0
            if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page
            else f"{PAGE} is behind: make contracts"
        )
    PAGE.write_text(page, encoding="utf-8")

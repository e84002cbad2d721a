"""The reference: every command with its options, every public name with its docstring, as Markdown pages.

Commands are read from the specifications that they are made of, names from the modules' text, so that neither
is written twice. `tools/build_site.py` calls it.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import contracts
from typer.main import get_command

SPECIAL = re.compile(r"([\\<>\[\]{}*_#|$~])")
SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Yields")


def write_reference(folder: Path) -> list[str]:
    """Write all pages; hands back their names, below `folder` and without their ending."""
    pages = {**command_pages(), **name_pages()}
    for name, text in pages.items():
        path = folder / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(pages)


def command_pages() -> dict[str, str]:
    """A page for every first word."""
    from mindscope.cli.app import app

    root: Any = get_command(app)
    pages = {f"commands/{noun}": _noun_page(noun, command) for noun, command in sorted(root.commands.items())}
    lines = [
        f"| [`mindscope {noun}`]({noun}.md) | {escape(_first(root.commands[noun].help))} |"
        for noun in sorted(root.commands)
    ]
    head = "# Commands\n\nMade of the commands' own help. `mindscope schema COMMAND` prints the same as JSON "
    head += "schemas, with what `--json` hands back.\n\n| command | |\n|---|---|\n"
    pages["commands/index"] = head + "\n".join(lines) + "\n\n" + _toctree(sorted(root.commands))
    return pages


def _noun_page(noun: str, command: Any) -> str:
    verbs = getattr(command, "commands", None)
    if not verbs:
        return _command(f"mindscope {noun}", command, "#")
    parts = [f"# mindscope {noun}\n\n{escape(command.help or '')}\n"]
    parts += [_command(f"mindscope {noun} {verb}", verbs[verb], "##") for verb in verbs]
    return "\n".join(parts)


def _command(name: str, command: Any, mark: str) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join([name, *(_placeholder(p) for p in arguments), *(["[OPTIONS]"] if options else [])])
    rows = [f"| `{_placeholder(p)}` | | {escape(p.help)} |" for p in arguments]
    rows += [f"| {_spelled(p)} | {_default(p)} | {escape(p.help)} |" for p in options if not p.hidden]
    table = "| | default | |\n|---|---|---|\n" + "\n".join(rows) if rows else ""
    return (
        f"{mark} {name}\n\n{escape(inspect.cleandoc(command.help or ''))}\n\n```\n{usage}\n```\n\n{table}\n"
    )


def _placeholder(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name).strip("[]{}").upper()
    return name if parameter.required else f"[{name}]"


def _spelled(parameter: Any) -> str:
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _default(parameter: Any) -> str:
    if parameter.required:
        return "needed"
    value = parameter.default
    is_plain = isinstance(value, (str, int, float, Path)) and not isinstance(value, bool)
    return f"`{value}`" if is_plain and str(value) else ""


def name_pages() -> dict[str, str]:
    """A page for every folder of the package, from the lowest floor up, with all names of its faces."""
    described: set[str] = set()
    parts: dict[str, list[str]] = {}
    sentences: dict[str, str] = {}
    for face in contracts.find_faces():
        tree = ast.parse(face.read_text(encoding="utf-8"))
        homes = contracts.find_homes(tree)
        names = [
            name for name in contracts.public_names(tree) if f"{homes.get(name)}.{name}" not in described
        ]
        described |= {f"{homes.get(name)}.{name}" for name in names}
        place = face.parent.relative_to(contracts.PACKAGE).as_posix()
        folder = place.partition("/")[0]
        about = ast.get_docstring(tree) or ""
        sentences.setdefault(folder, _first(about))
        mark = "#" if folder == place else "##"
        if names or folder == place:
            parts.setdefault(folder, []).append(
                f"{mark} mindscope.{place.replace('/', '.')}\n\n{prose(about)}\n"
            )
        parts[folder] += [text for name in names if (text := _name(name, homes, mark + "#"))] if names else []
    pages = {f"python/{folder}": "\n".join(texts) for folder, texts in parts.items()}
    rows = [f"| [`mindscope.{folder}`]({folder}.md) | {escape(sentences[folder])} |" for folder in parts]
    head = "# Python\n\n`import mindscope as ms` has the dozen names of most scripts; everything else is one "
    head += "folder down. Made of the docstrings, from the lowest floor up.\n\n| folder | |\n|---|---|\n"
    pages["python/index"] = head + "\n".join(rows) + "\n\n" + _toctree(parts)
    return pages


def _name(name: str, homes: dict[str, str], mark: str) -> str:
    node = _find(name, homes)
    if node is None:
        return ""
    if isinstance(node, ast.ClassDef):
        return _class(node, mark)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return f"{mark} {escape(name)}\n\n{_signature(node)}\n\n{prose(ast.get_docstring(node) or '')}\n"
    return f"{mark} {escape(name)}\n\n```python\n{ast.unparse(node)[:400]}\n```\n"


def _find(name: str, homes: dict[str, str]) -> ast.stmt | None:
    """Where a name of a face is defined, through faces that hand it on."""
    module = homes.get(name)
    if module is None or not module.startswith("mindscope"):
        return None
    path = contracts.ROOT / "src" / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom | ast.If):
            inner = contracts.find_homes(ast.Module([node], []))
            if name in inner and inner[name] != module:
                return _find(name, inner)
        if isinstance(node, ast.Assign | ast.AnnAssign) and contracts._assigned(node) == name:
            return node
    return None


def _class(node: ast.ClassDef, mark: str) -> str:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    parts = [f"{mark} {escape(node.name)}\n"]
    parts.append(f"```python\nclass {node.name}{f'({bases})' if bases else ''}\n```\n")
    parts.append(prose(ast.get_docstring(node) or "") + "\n")
    if fields := list(_fields(node)):
        rows = [f"| `{name}` | `{kind}` | {default} | {text} |" for name, kind, default, text in fields]
        parts.append("| field | type | default | |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")
    parts += [
        f"{_signature(member)}\n\n{prose(ast.get_docstring(member) or '')}\n"
        for member in node.body
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and not member.name.startswith("_")
    ]
    return "\n".join(parts)


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str, str, str]]:
    """Name, type, default and docstring of each field."""
    for member, after in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
        if not isinstance(member, ast.AnnAssign) or not isinstance(member.target, ast.Name):
            continue
        kind = ast.unparse(member.annotation).replace("|", "\\|")
        if member.target.id.startswith("_") or kind.startswith("ClassVar"):
            continue
        text = (
            after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        )
        default = "needed" if member.value is None else _shown(member.value)
        yield member.target.id, kind, default, escape(" ".join(str(text).split()))


def _shown(value: ast.expr) -> str:
    """A default; of `Field(default=...)` what it holds."""
    if isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in ("Field", "field"):
        words = {word.arg: word.value for word in value.keywords}
        inner = words.get("default", value.args[0] if value.args else None)
        return "" if inner is None else _shown(inner)
    text = ast.unparse(value)
    return f"`{text}`".replace("|", "\\|") if len(text) <= 40 else ""


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    if any("property" in name for name in decorators):
        return f"```python\n{node.name}: {ast.unparse(node.returns) if node.returns else ''}\n```"
    arguments = ast.unparse(node.args)
    for first in ("self", "cls"):
        arguments = "" if arguments == first else arguments.removeprefix(f"{first}, ")
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    line = f"{node.name}({arguments}){returns}"
    if len(line) > 100:
        line = f"{node.name}(\n    " + ",\n    ".join(_split(arguments)) + f",\n){returns}"
    return f"```python\n{line}\n```"


def _split(arguments: str) -> list[str]:
    """Arguments parted at the commas that are inside no bracket."""
    parts, depth = [""], 0
    for character in arguments:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def prose(text: str) -> str:
    """A docstring as Markdown: paragraphs, lists, and its sections with a line per name."""
    parts = []
    for paragraph in text.split("\n\n"):
        title, _, body = paragraph.partition("\n")
        section = title.rstrip(":")
        if section in SECTIONS and title.endswith(":"):
            parts.append(f"**{section}**\n\n" + "\n".join(_entries(body)))
        elif paragraph.startswith("    "):
            parts.append("```\n" + inspect.cleandoc(paragraph) + "\n```")
        else:
            lines = paragraph.split("\n")
            listed = any(re.match(r"(- |\d+\. )", line) for line in lines)
            escaped = [_line(line) for line in lines]
            parts.append("\n".join(escaped) if listed else " ".join(escaped))
    return "\n\n".join(parts)


def _line(line: str) -> str:
    mark = re.match(r"\s*(- |\d+\. )?", line)
    start = mark[0] if mark else ""
    return start + escape(line[len(start) :])


def _entries(body: str) -> Iterator[str]:
    """`name: what it is`, whose later lines stand further in."""
    entries: list[str] = []
    lines = inspect.cleandoc(body).split("\n")
    for line in lines:
        if line.startswith(" ") and entries:
            entries[-1] += " " + line.strip()
        else:
            entries.append(line)
    for entry in entries:
        name, colon, rest = entry.partition(": ")
        yield f"- `{name}`: {escape(rest)}" if colon and " " not in name else f"- {escape(entry)}"


def escape(text: str | None) -> str:
    """Text in which nothing is Markdown but what stands between backticks."""
    parts = re.split(r"(``.+?``|`[^`]+`)", " ".join((text or "").split()))
    shown = (part if part.startswith("`") else SPECIAL.sub(r"\\\1", part) for part in parts)
    return "".join(part.replace("|", "\\|") if part.startswith("`") else part for part in shown)


def _first(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


def _toctree(names: Any) -> str:
    return "```{toctree}\n:hidden:\n\n" + "\n".join(names) + "\n```\n"

"""How the package reads, in figures, beside eight code bases of the field: a picture to judge by, not a gate.

    python benchmarks/style.py            # the package of this checkout
    python benchmarks/style.py FOLDER     # any other package

1. Parse every file (no `tests`, no `*_test.py`) into its syntax tree and its comments.
2. Count files, functions, comments, names and imports.
3. Print the counts beside those of the other code bases, then what a reader would want to see by name.
"""

import ast
import io
import re
import sys
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "mindscope"
MOST_FILES, MOST_PARAMETERS, LONG = 15, 7, 50
HARD_FOLDERS = ("models/linear", "circuits", "dictionaries/training")
"""Where an algorithm must be narrated: at least 2 % of the lines there should be comments."""
FIELD_NAMES = {"Model", "Edit", "Trait", "Dictionary", "Feature", "Run", "Judge", "Direction", "Row"}
"""The field's own one-word names."""

CODE_BASES = (
    "circuit-tracer", "sparsify", "nanochat", "repeng", "tinker", "inspect_ai", "penzai", "concept-erasure",
)  # fmt: skip
COUNTED = (
    "counted in November 2026 on the newest public commits at hand (circuit-tracer: of 18 April 2026; of "
    "the rest the commit was not written down); tests, deprecated code and tinker's recipes left out"
)
OTHERS: dict[str, tuple[str, ...]] = {
    "files": ("32", "12", "29", "4", "186", "766", "65", "16"),
    "lines": ("8.5k", "2.2k", "6.6k", "0.7k", "53.4k", "200k", "16.7k", "1.7k"),
    "file length, median": ("214", "157", "222", "227", "197", "127", "129", "105"),
    "file length, p90": ("644", "299", "499", "399", "604", "633", "713", "216"),
    "file length, most": ("1044", "728", "604", "399", "2176", "4651", "2122", "280"),
    "function length, median": ("16", "14", "10", "6", "13", "11", "13", "7"),
    "function length, p90": ("72", "61", "47", "49", "48", "47", "63", "40"),
    "function length, most": ("241", "360", "147", "93", "384", "1067", "371", "137"),
    "functions over 50 lines": ("20 %", "13 %", "9 %", "8 %", "9 %", "9 %", "14 %", "6 %"),
    "parameters, mean": ("2.5", "2.4", "1.8", "1.5", "1.6", "1.6", "1.4", "2.0"),
    "functions with 8 or more": ("15", "2", "7", "1", "29", "124", "6", "1"),
    "comment lines": ("5.5 %", "7.1 %", "16.6 %", "4.8 %", "5.5 %", "8.2 %", "8.0 %", "6.6 %"),
    "docstring lines": ("16.3 %", "5.3 %", "12.8 %", "15.1 %", "24.7 %", "16.6 %", "30.1 %", "14.7 %"),
    "public things with a docstring": ("59 %", "39 %", "48 %", "39 %", "86 %", "46 %", "80 %", "93 %"),
    "one-word class names": ("28 %", "17 %", "53 %", "12 %", "9 %", "10 %", "16 %", "0 %"),
    "one-word function names": ("10 %", "5 %", "6 %", "0 %", "6 %", "5 %", "12 %", "19 %"),
    "class names borne twice": ("2", "0", "0", "0", "2", "17", "0", "0"),
    "files of the widest folder": ("9", "11", "14", "4", "24", "77", "13", "11"),
    "imports past a face": ("-",) * 8,
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


@dataclass
class SourceFile:
    """A file, parsed."""

    path: Path
    """Within the package."""
    text: str
    tree: ast.Module = field(init=False)

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.text)

    @cached_property
    def n_lines(self) -> int:
        return len(self.text.splitlines())

    @cached_property
    def n_comments(self) -> int:
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return len({token.start[0] for token in tokens if token.type == tokenize.COMMENT})

    @cached_property
    def n_docstring_lines(self) -> int:
        """Of modules, classes, functions, and of names that have a text below them."""
        texts = (
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        )
        return sum((text.end_lineno or text.lineno) - text.lineno + 1 for text in texts)

    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def classes(self) -> Iterator[ast.ClassDef]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))

    def module_functions(self) -> Iterator[Function]:
        return (node for node in self.tree.body if isinstance(node, Function))

    def public_things(self) -> Iterator[Documented]:
        """Modules, and public classes, functions and methods."""
        yield self.tree
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
                yield node
                inner = node.body if isinstance(node, ast.ClassDef) else []
                yield from (
                    member
                    for member in inner
                    if isinstance(member, Function) and not member.name.startswith("_")
                )


@dataclass
class PackageFigures:
    """What is counted of a package."""

    folder: Path
    files: list[SourceFile] = field(init=False)

    def __post_init__(self) -> None:
        paths = sorted(
            path
            for path in self.folder.rglob("*.py")
            if "tests" not in path.parts and not path.name.endswith("_test.py")
        )
        self.files = [SourceFile(path.relative_to(self.folder), path.read_text("utf-8")) for path in paths]

    def rows(self) -> dict[str, str]:
        """The figures by the names that `OTHERS` has."""
        functions = [function for file in self.files for function in file.functions()]
        lengths = [function_length(function) for function in functions]
        counts = [len(parameters(function)) for function in functions]
        sizes = [file.n_lines for file in self.files]
        things = [thing for file in self.files for thing in file.public_things()]
        documented = sum(ast.get_docstring(thing) is not None for thing in things)
        lines = sum(sizes)
        classes = [name for name, _ in self.class_names()]
        names = [function.name for file in self.files for function in file.module_functions()]
        return {
            "files": str(len(self.files)),
            "lines": f"{lines / 1000:.1f}k",
            "file length, median": f"{median(sizes):.0f}",
            "file length, p90": str(quantile(sizes)),
            "file length, most": str(max(sizes)),
            "function length, median": f"{median(lengths):.0f}",
            "function length, p90": str(quantile(lengths)),
            "function length, most": str(max(lengths)),
            "functions over 50 lines": share(sum(length > LONG for length in lengths), len(lengths)),
            "parameters, mean": f"{sum(counts) / len(counts):.1f}",
            "functions with 8 or more": str(sum(count > MOST_PARAMETERS for count in counts)),
            "comment lines": share(sum(file.n_comments for file in self.files), lines),
            "docstring lines": share(sum(file.n_docstring_lines for file in self.files), lines),
            "public things with a docstring": share(documented, len(things)),
            "one-word class names": share(sum(map(is_one_word, classes)), len(classes)),
            "one-word function names": share(sum(map(is_one_word, names)), len(names)),
            "class names borne twice": str(len(self.shared_names())),
            "files of the widest folder": str(max(self.folder_sizes().values())),
            "imports past a face": str(len(self.imports_past_faces())),
        }

    def class_names(self) -> list[tuple[str, Path]]:
        """Every class without its leading underscores, and its file."""
        return [(node.name.strip("_"), file.path) for file in self.files for node in file.classes()]

    def shared_names(self) -> dict[str, list[Path]]:
        """Class names of several files."""
        homes: dict[str, list[Path]] = defaultdict(list)
        for name, path in self.class_names():
            homes[name].append(path)
        return {name: paths for name, paths in sorted(homes.items()) if len(paths) > 1}

    def one_word_classes(self) -> list[str]:
        """Those that are not the field's own."""
        return sorted(
            {name for name, _ in self.class_names() if is_one_word(name) and name not in FIELD_NAMES}
        )

    def folder_sizes(self) -> Counter[Path]:
        """Modules of each folder, without its face."""
        return Counter(file.path.parent for file in self.files if file.path.name != "__init__.py")

    def imports_past_faces(self) -> list[str]:
        """Names that a top folder takes out of the inside of another, past a face that could hand them on."""
        root = self.folder.name
        packages = {".".join((root, *file.path.parent.parts)) for file in self.files}
        past = []
        for file in self.files:
            for node in ast.walk(file.tree):
                if not isinstance(node, ast.ImportFrom) or not node.module or len(file.path.parts) == 1:
                    continue
                parts = node.module.split(".")
                inside = parts[0] == root and len(parts) > 2 and node.module not in packages
                if inside and parts[1] != file.path.parts[0]:
                    past += [f"{file.path}: {node.module}.{alias.name}" for alias in node.names]
        return past

    def many_parameters(self) -> list[str]:
        """Functions outside the command line that take more than seven."""
        return [
            f"{file.path}:{function.lineno} {function.name} ({len(parameters(function))})"
            for file in self.files
            if file.path.parts[0] != "cli"
            for function in file.functions()
            if len(parameters(function)) > MOST_PARAMETERS
        ]

    def comment_shares(self) -> dict[str, str]:
        """Of each hard folder that there is."""
        shares = {}
        for folder in HARD_FOLDERS:
            inside = [file for file in self.files if file.path.is_relative_to(folder)]
            if inside:
                lines = sum(file.n_lines for file in inside)
                shares[folder] = share(sum(file.n_comments for file in inside), lines)
        return shares


def parameters(function: Function) -> list[str]:
    """Names of what a function takes, without self and cls."""
    taken = function.args
    names = [argument.arg for argument in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def function_length(function: Function) -> int:
    """Lines from `def` to the end, its docstring included."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def is_one_word(name: str) -> bool:
    """Whether a name has one word: `Rows`, `told`; not `TargetReadout`, `find_row`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name.strip("_"))
    return len(words) <= 1


def quantile(values: Sequence[int]) -> int:
    """Nine tenths are at most this."""
    return sorted(values)[int(0.9 * (len(values) - 1))]


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def print_list(title: str, lines: Sequence[str]) -> None:
    print(f"\n{title}: {len(lines) or 'none'}")
    for line in lines:
        print(f"  {line}")


def main() -> None:
    figures = PackageFigures(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else PACKAGE)
    rows = figures.rows()
    heads = (figures.folder.name, *CODE_BASES)
    print(f"{'':31}" + "".join(f"{head:>16}" for head in heads))
    for name, value in rows.items():
        print(f"{name:31}" + "".join(f"{cell:>16}" for cell in (value, *OTHERS[name])))
    print(f"\nThe others: {COUNTED}.")
    shared = [f"{name}: {', '.join(map(str, paths))}" for name, paths in figures.shared_names().items()]
    print_list("Class names borne twice", shared)
    print_list("One-word class names that are not the field's own", figures.one_word_classes())
    wide = [f"{path} {size}" for path, size in figures.folder_sizes().items() if size > MOST_FILES]
    print_list(f"Folders of more than {MOST_FILES} files", wide)
    print_list(
        f"Functions with more than {MOST_PARAMETERS} parameters, outside cli/", figures.many_parameters()
    )
    print_list("Imports past a face", figures.imports_past_faces())
    print("\nComment lines of the hard folders (2 % or more is meant)")
    for folder, value in figures.comment_shares().items():
        print(f"  {folder}: {value}")


if __name__ == "__main__":
    main()

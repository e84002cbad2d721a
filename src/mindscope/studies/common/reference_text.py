"""Real text without a download: what comes with every Python, its language reference and docstrings.

Some megabytes of English about programming, with examples in code. Other versions of Python have other text.
"""

import inspect
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from mindscope.errors import DataError

DOCSTRING = re.compile(r'^[ \t]*[rR]?"""(.*?)"""', re.MULTILINE | re.DOTALL)
"""What stands between three quotes at the beginning of a line; parsing the library takes far longer."""
LEFT_OUT = {"test", "tests", "idlelib", "lib2to3", "this", "antigravity"}
"""Modules whose docstrings are none that explain anything, or that are not in every Python."""


def read_paragraphs() -> list[str]:
    """Every paragraph once: topics repeat whole passages of others.

    Raises:
        DataError: this Python has none.
    """
    parts = [part for text in _read_texts() for part in re.split(r"\n\s*\n", text.strip())]
    return list(dict.fromkeys(parts))


def _read_texts() -> Iterator[str]:
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise DataError(
            "this Python has no language reference (the module pydoc_data.topics), which the study reads: "
            "install Python with its standard library whole"
        ) from None
    yield from topics.values()
    library = Path(sysconfig.get_paths()["stdlib"])
    for name in sorted(sys.stdlib_module_names - LEFT_OUT):
        if not name.startswith("_"):
            for file in [library / f"{name}.py", *sorted((library / name).rglob("*.py"))]:
                if file.is_file() and not LEFT_OUT & set(file.relative_to(library).parts):
                    yield from _read_docstrings(file)


def _read_docstrings(file: Path) -> Iterator[str]:
    source = file.read_text(encoding="utf-8", errors="replace")
    yield from (inspect.cleandoc(match[1]) for match in DOCSTRING.finditer(source))

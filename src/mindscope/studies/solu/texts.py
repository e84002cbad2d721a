"""Real text for the small models: what comes with every Python, its language reference and docstrings.

Some megabytes of English about programming, with examples in code. Other versions of Python have other text,
so that a run names the one it read. Nothing is downloaded, and nothing lies in the package for it.
"""

import inspect
import platform
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindscope.core import digest_text
from mindscope.errors import DataError
from mindscope.studies.common import TokenText

WORD = re.compile(r"\w+|([^\w\s])\1*|\n\n")
"""Words, signs (as often as they stand in a row), and the ends of paragraphs."""
DOCSTRING = re.compile(r'^[ \t]*[rR]?"""(.*?)"""', re.MULTILINE | re.DOTALL)
"""What stands between three quotes at the beginning of a line; parsing the library takes far longer."""
BLOCK = 50
"""Paragraphs that stay together; every fourth block is held out."""
EVERY = 4
LEFT_OUT = {"test", "tests", "idlelib", "lib2to3", "this", "antigravity"}
"""Modules whose docstrings are none that explain anything, or that are not in every Python."""


class ReferenceText(TokenText):
    """The text, over its commonest words and signs.

    Attributes:
        name: of the text, with the version of Python.
        digest: of the text.
    """

    def __init__(self, vocabulary: int) -> None:
        """Read it.

        Raises:
            DataError: this Python has none.
        """
        paragraphs = _read_paragraphs()
        blocks = [paragraphs[start : start + BLOCK] for start in range(0, len(paragraphs), BLOCK)]
        halves: tuple[list[str], list[str]] = ([], [])
        for number, block in enumerate(blocks):
            halves[number % EVERY == EVERY - 1].extend(block)
        train, held = ([m.group() for m in WORD.finditer("\n\n".join(part))] for part in halves)
        super().__init__(vocabulary, train, held)
        self.name = f"the reference and docstrings of Python {platform.python_version()}"
        self.digest = digest_text("\n\n".join(paragraphs))


def _read_paragraphs() -> list[str]:
    """Every paragraph once: topics repeat whole passages of others."""
    parts = [part for text in _read_texts() for part in re.split(r"\n\s*\n", text.strip())]
    return list(dict.fromkeys(parts))


def _read_texts() -> Iterator[str]:
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise DataError(
            "this Python has no language reference (the module pydoc_data.topics), which the study trains "
            "on: install Python with its standard library whole"
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


def name_tokens(text: TokenText, tokenizer: Any = None) -> list[str]:
    """How a reader knows each id: between quotes; the last two are any rarer token, and no token yet.

    Args:
        text: whose ids.
        tokenizer: whose ids the text's tokens are; without one they are words.
    """
    common = [tokenizer.decode([token]) if tokenizer else str(token) for token in text.common]
    names = [f"“{word.replace(chr(10), '↵')}”" for word in common]
    return [*names, *["“”"] * (text.vocabulary - 1 - len(names)), "a rare token", "the beginning"]

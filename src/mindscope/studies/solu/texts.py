"""Real text for the small models: what comes with every Python, its language reference and docstrings.

Some megabytes of English about programming, with examples in code. Other versions of Python have other text,
so that a run names the one it read. Nothing is downloaded, and nothing lies in the package for it.
"""

import platform
import re

from mindscope.core import digest_text
from mindscope.studies.common import TokenText, read_paragraphs

WORD = re.compile(r"\w+|([^\w\s])\1*|\n\n")
"""Words, signs (as often as they stand in a row), and the ends of paragraphs."""
BLOCK = 50
"""Paragraphs that stay together; every fourth block is held out."""
EVERY = 4


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
        paragraphs = read_paragraphs()
        blocks = [paragraphs[start : start + BLOCK] for start in range(0, len(paragraphs), BLOCK)]
        halves: tuple[list[str], list[str]] = ([], [])
        for number, block in enumerate(blocks):
            halves[number % EVERY == EVERY - 1].extend(block)
        train, held = ([m.group() for m in WORD.finditer("\n\n".join(part))] for part in halves)
        super().__init__(vocabulary, train, held)
        self.name = f"the reference and docstrings of Python {platform.python_version()}"
        self.digest = digest_text("\n\n".join(paragraphs))

"""What was not read of a row, or was written otherwise than it stood there: said once, with how many rows."""

from collections import Counter
from collections.abc import Iterable, Mapping

UNREAD = "columns not read"
TURN_KEYS = "keys of turns not read"
DROPPED = "left out"
WRITTEN = "written as text"
GUESSED = "taken as"
APART = "kept apart from the answer"
REJECTED = f"{DROPPED}: rejected answers"
"""The remark of a preference pair, which a command that needs both answers does not make."""

SHOWN = 12
"""Names of a heading that a line shows; files of logs may have hundreds of columns."""
LONGEST_NAME = 60
"""Characters of a name that are shown."""


def one_line(name: object) -> str:
    """A name out of a file, such as a column's, for a message: short and on one line."""
    text = " ".join(str(name).split())
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"


class Remarks:
    """Collects what is not read of one row, each thing once."""

    def __init__(self) -> None:
        self._said: dict[str, None] = {}

    def add(self, heading: str, *names: str) -> None:
        """Note things under a heading, such as columns under `columns not read`."""
        self._said.update({f"{heading}: {one_line(name)}": None for name in names})

    def all(self) -> tuple[str, ...]:
        """Everything that was noted, in order."""
        return tuple(self._said)


def list_remarks(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Remarks with their numbers of rows, a line a heading."""
    by_heading: dict[str, Counter[str]] = {}
    for remark, rows in counts.items():
        heading, _, name = remark.partition(": ")
        by_heading.setdefault(heading, Counter())[name] += rows
    return tuple(f"{heading}: {_names(names.most_common())}" for heading, names in by_heading.items())


def _names(counts: Iterable[tuple[str, int]]) -> str:
    listed = [f"{name} ({rows})" for name, rows in counts]
    more = len(listed) - SHOWN
    return ", ".join(listed[:SHOWN]) + (f" and {more} more" if more > 0 else "")

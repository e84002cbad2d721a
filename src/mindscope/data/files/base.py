"""A kind of file: its suffixes, how its rows are read one by one, and how some of them are copied."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindscope.data.conversations import Conversation, parse_conversation
from mindscope.errors import DataError

LONGEST_ROW = 1 << 28
"""Bytes (256 MiB): no conversation is longer. A compressed file may unpack to a line without an end."""
TOO_LONG = f"a row is longer than {LONGEST_ROW >> 20} MiB"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One row of a file, and where it stands."""

    number: int
    """Counted from 1, malformed rows included."""
    line: int
    """The line of the file on which the row ends; in files without lines, its number."""
    place: str
    """For people: "line 3", or "row 3" in files without lines."""
    row: Any
    """What the row says, or the `DataError` that reading it gave."""
    raw: bytes = b""
    """The row as it stands in a file of lines, with its line end."""

    def conversation(self) -> Conversation:
        """What the row says as a conversation; DataError with the reason, without the place."""
        if isinstance(self.row, DataError):
            raise self.row
        return parse_conversation(self.row)


@dataclass(frozen=True)
class FileKind:
    """One kind of file.

    Attributes:
        name: for people.
        suffixes: of its files, in lower case.
        read: its rows, one by one; malformed ones are handed on. DataError where the file cannot be read on.
        copy: writes the rows whose numbers pass into a new file of the same kind, and returns how many.
        compresses: whether its files may be compressed as a whole.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path], Iterator[FileRecord]]
    copy: Callable[[Path, Path, Callable[[int], bool]], int]
    compresses: bool = True


def whole_row(number: int, row: Any) -> FileRecord:
    """A row of a file without lines."""
    return FileRecord(number, number, f"row {number}", row)

"""A `.json` file: an array of objects, objects one after the other, or one object that holds the rows.

The file is read piece by piece. Text is gathered until a value is whole, and taken off its front; a value
that is not whole asks for twice as much, so that a long one is not parsed again at each piece.
"""

import codecs
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from mindscope.core import require_single_keys
from mindscope.data.conversations import parse_conversation
from mindscope.data.files.base import LONGEST_ROW, TOO_LONG, FileKind, FileRecord, whole_row
from mindscope.data.files.compression import created_bytes, opened_bytes, split_suffix
from mindscope.errors import DataError

_PIECE = 1 << 20
_END = 64
"""Characters: an error this close to the end of what was read may be for want of the rest."""
_ROWS = json.JSONDecoder(object_pairs_hook=require_single_keys)
_BLANKS = " \t\r\n"


def read_json(path: Path) -> Iterator[FileRecord]:
    """The rows of a file."""
    number = 0
    with opened_bytes(path) as file:
        values = _JsonValues(file, path)
        first = values.peek()
        if first == "[":
            rows = values.items()
        elif first == "{":
            rows = values.sequence()
        else:
            raise DataError(f"{path} must be a list of rows: it begins with {first!r}")
        for number, row in enumerate(rows, 1):
            yield whole_row(number, row)
    if not number:
        raise DataError(f"{path} is empty: a list of rows is needed")


class _JsonValues:
    """The values of a file, one after the other."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path = file, path
        self._decoder, self._json = codecs.getincrementaldecoder("utf-8")(), _ROWS
        self._text, self._place, self._ended, self._number = "", 0, False, 0

    def items(self) -> Iterator[Any]:
        """Those of an array."""
        self._take("[")
        while self.peek() != "]":
            yield self._value()
            if self.peek() == ",":
                self._take(",")
                if self.peek() == "]":
                    raise self._broken("a value is missing")
            elif self.peek() != "]":
                raise self._broken("a comma is missing")
        self._take("]")
        if self.peek():
            raise self._broken("there is more behind the list")

    def sequence(self) -> Iterator[Any]:
        """Objects behind one another; the rows inside, where there is one that is no row itself."""
        first = self._value()
        if self.peek():
            yield first
            while self.peek():
                yield self._value()
            return
        rows = _rows_inside(first)
        yield from [first] if rows is None else rows

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            while self._place < len(self._text):
                if self._text[self._place] not in _BLANKS:
                    return self._text[self._place]
                self._place += 1
            if not self._more(_PIECE):
                return ""

    def _take(self, what: str) -> None:
        assert self.peek() == what  # the caller has looked
        self._place += 1

    def _value(self) -> Any:
        self.peek()
        self._number += 1
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._place)
            except RecursionError:
                raise self._broken("it is nested too deeply") from None
            except json.JSONDecodeError as error:
                # A text or a number that was cut ends where the piece does, and so does what follows it.
                cut = error.pos >= len(self._text) - _END or error.msg.startswith("Unterminated")
                if not cut or self._ended:
                    raise self._broken(f"{error.msg} at character {error.pos - self._place}") from None
                self._more(max(_PIECE, len(self._text) - self._place))
                continue
            except ValueError as error:
                raise self._broken(str(error)) from None
            if end >= len(self._text) - 1 and not self._ended:
                self._more(_PIECE)  # a number may go on
                continue
            self._place = end
            return value

    def _more(self, size: int) -> bool:
        """Read on; False at the end of the file."""
        if self._ended:
            return False
        rest = self._text[self._place :]
        if len(rest) > LONGEST_ROW:
            raise self._broken(TOO_LONG)
        piece = self._file.read(size)
        self._ended = not piece
        try:
            text = self._decoder.decode(piece, final=self._ended)
        except UnicodeDecodeError:
            raise DataError(f"{self._path}, row {max(self._number, 1)}: the text is not UTF-8") from None
        if self._text == "" and self._number == 0:
            text = text.removeprefix("\ufeff")
        self._text, self._place = rest + text, 0
        return not self._ended

    def _broken(self, reason: str) -> DataError:
        return DataError(f"{self._path}, row {self._number}: not JSON ({reason})")


def _rows_inside(value: Any) -> list[Any] | None:
    """The rows of an object that is no row itself but holds a list of them; None for any other."""
    if not isinstance(value, Mapping):
        return None
    lists = [rows for rows in value.values() if _holds_rows(rows)]
    if len(lists) != 1:
        return None
    try:
        parse_conversation(value)
    except DataError:
        return lists[0]
    return None


def _holds_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def copy_json(source: Path, target: Path, passes: Callable[[int], bool]) -> int:
    """Write the rows that pass as an array, an object a line."""
    count = 0
    with created_bytes(target, split_suffix(source)[1]) as file:
        for record in read_json(source):
            if passes(record.number):
                text = json.dumps(record.row, ensure_ascii=False)
                # A lone surrogate is written as its escape, which JSON reads back.
                file.write((b",\n" if count else b"[\n") + text.encode("utf-8", "backslashreplace"))
                count += 1
        file.write(b"\n]\n" if count else b"[]\n")
    return count


JSON_ARRAY = FileKind("JSON", (".json",), read_json, copy_json)

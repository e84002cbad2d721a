"""CSV and TSV. Cells stay text: an answer "None" or "NA" is an answer."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from mindscope.data.files.base import LONGEST_ROW, TOO_LONG, FileKind, FileRecord
from mindscope.data.files.compression import opened_bytes, split_suffix
from mindscope.data.files.json_lines import copy_lines
from mindscope.errors import DataError

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


def read_delimited(path: Path) -> Iterator[FileRecord]:
    """The rows under the first line, which names the columns."""
    csv.field_size_limit(2**31 - 1)
    with opened_bytes(path) as opened, io.TextIOWrapper(opened, encoding="utf-8-sig", newline="") as file:
        lines = _LineCounter(file)
        reader, number = _reader(lines, path), 0
        try:
            names = next(reader, None)
            if not names:
                raise DataError(f"{path} is empty: a first line with column names is needed")
            # A row would keep the last of two; columns without a name are read by nobody.
            if doubled := [name for name, count in Counter(names).items() if name and count > 1]:
                raise DataError(f"{path}, line 1: two columns are called {doubled[0]!r}: rename one")
            lines.take()
            for cells in reader:
                raw = lines.take()
                if cells:
                    number, line = number + 1, reader.line_num
                    row = (
                        dict(zip(names, cells, strict=True))
                        if len(cells) == len(names)
                        else DataError(f"{len(cells)} cells under {len(names)} columns")
                    )
                    yield FileRecord(number, line, f"line {line}", row, raw)
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: not CSV ({error})") from None
        except UnicodeDecodeError:
            raise DataError(f"{path}, after line {reader.line_num}: the text is not UTF-8") from None


class _LineCounter:
    """The lines of a file, and those of the row that was read last: a quoted cell may hold line ends."""

    def __init__(self, file: io.TextIOBase) -> None:
        self._file, self._taken, self._length = file, list[str](), 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._file.readline(LONGEST_ROW)
        if not line:
            raise StopIteration
        self._length += len(line)
        if self._length >= LONGEST_ROW:
            raise csv.Error(TOO_LONG)
        self._taken.append(line)
        return line

    def take(self) -> bytes:
        taken = "".join(self._taken).encode()
        self._taken.clear()
        self._length = 0
        return taken


def _reader(lines: Iterator[str], path: Path):
    return csv.reader(lines, delimiter=_DELIMITERS[split_suffix(path)[0]], strict=True)


def csv_header(path: Path) -> bytes:
    """What a file says before its first row, as it stands there."""
    with opened_bytes(path) as opened, io.TextIOWrapper(opened, encoding="utf-8", newline="") as file:
        lines = _LineCounter(file)
        next(_reader(lines, path), None)
        return lines.take()


def copy_delimited(source: Path, target: Path, passes: Callable[[int], bool]) -> int:
    """Write the header and the rows that pass byte by byte."""
    return copy_lines(source, target, passes, read=read_delimited, header=csv_header(source))


DELIMITED = FileKind("CSV or TSV", tuple(_DELIMITERS), read_delimited, copy_delimited)

"""JSON lines: an object a line, blank lines between them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mindscope.core import parse_json as parse_any_json
from mindscope.data.files.base import LONGEST_ROW, TOO_LONG, FileKind, FileRecord
from mindscope.data.files.compression import created_bytes, opened_bytes, split_suffix
from mindscope.errors import DataError

_BOM = b"\xef\xbb\xbf"


def read_json_lines(path: Path) -> Iterator[FileRecord]:
    """The rows of a file."""
    number = line = 0
    with opened_bytes(path) as file:
        while raw := file.readline(LONGEST_ROW):
            line += 1
            if len(raw) == LONGEST_ROW:
                raise DataError(f"{path}, line {line}: {TOO_LONG}")
            if text := raw.removeprefix(_BOM).strip():
                number += 1
                yield FileRecord(number, line, f"line {line}", parse_json(text), raw)


def parse_json(text: bytes) -> Any:
    """What JSON says, or the DataError that reading it gave."""
    try:
        return parse_any_json(text, single_keys=True)  # NaN stands in columns of scores
    except UnicodeDecodeError:
        return DataError("the text is not UTF-8")
    except ValueError as error:
        return DataError(f"not JSON ({error})")


def copy_lines(
    source: Path,
    target: Path,
    passes: Callable[[int], bool],
    *,
    read: Callable[[Path], Iterator[FileRecord]] = read_json_lines,
    header: bytes = b"",
) -> int:
    """Write the rows that pass byte by byte, compressed as the source is."""
    count = 0
    with created_bytes(target, split_suffix(source)[1]) as file:
        file.write(header)
        for record in read(source):
            if passes(record.number):
                # The last line of a file may lack its end.
                file.write(record.raw if record.raw.endswith((b"\n", b"\r")) else record.raw + b"\n")
                count += 1
    return count


JSON_LINES = FileKind("JSON lines", (".jsonl", ".ndjson"), read_json_lines, copy_lines)

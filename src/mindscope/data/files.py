"""Files of conversations, row by row, never whole in memory."""

import csv
import json
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from mindscope.data.conversations import Conversation, parse_conversation
from mindscope.errors import DataError


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


def read_records(path: Path | str) -> Iterator[FileRecord]:
    """Read the rows of the files that `read_conversations` reads, one by one, and hand on malformed ones.

    Raises:
        DataError: the file cannot be read.
    """
    return _rows(Path(path))


def read_conversations(
    path: Path | str, on_error: Literal["refuse", "skip"] = "refuse"
) -> Iterator[Conversation]:
    """Read conversations from `.jsonl`, `.csv`, `.parquet`, or the folder of a saved Hugging Face dataset.

    Args:
        path: of the file or folder. `parse_conversation` says which columns it may have.
        on_error: what to do with a malformed row: stop, or leave it out and warn at the end how many were.

    Raises:
        DataError: file, line and reason of the first malformed row, or why the file cannot be read.
    """
    path = Path(path)
    if on_error not in ("refuse", "skip"):
        raise DataError(f"on_error is {on_error!r}, 'refuse' or 'skip' is needed")
    return _conversations(path, _rows(path), on_error)


def _conversations(path: Path, rows: Iterator[FileRecord], on_error: str) -> Iterator[Conversation]:
    count, skipped, first = 0, 0, ""
    for record in rows:
        count = record.number
        try:
            conversation = record.conversation()
        except DataError as error:
            reason = f"{path}, {record.place}: {error}"
            if on_error == "refuse":
                raise DataError(reason) from None
            skipped, first = skipped + 1, first or reason
        else:
            yield conversation
    if skipped:
        warnings.warn(f"left out {skipped} of {count} rows; the first: {first}", stacklevel=3)


def _rows(path: Path) -> Iterator[FileRecord]:
    if path.is_dir():
        return _dataset(path)
    readers = {".jsonl": _json_lines, ".csv": _csv, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: one of {', '.join(readers)} or the folder of a saved dataset is needed")
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    if head.startswith(b"version https://git-lfs"):
        raise DataError(f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull`")
    return reader(path)


def _json_lines(path: Path) -> Iterator[FileRecord]:
    number = 0
    with path.open("rb") as file:
        for line, raw in enumerate(file, 1):
            if not (text := raw.removeprefix(b"\xef\xbb\xbf").strip()):
                continue
            number += 1
            try:
                row = json.loads(text)
            except UnicodeDecodeError:
                row = DataError("the text is not UTF-8")
            except (ValueError, RecursionError) as error:
                row = DataError(f"not JSON ({error})")
            yield FileRecord(number, line, f"line {line}", row, raw)


def _csv(path: Path) -> Iterator[FileRecord]:
    """Cells stay text: an answer "None" or "NA" is an answer."""
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = _LineCounter(file)
        reader, number = csv.reader(lines, strict=True), 0
        try:
            names = next(reader, None)
            if not names:
                raise DataError(f"{path} is empty: a first line with column names is needed")
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

    def __init__(self, file: Iterable[str]) -> None:
        self._file, self._taken = iter(file), list[str]()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        self._taken.append(next(self._file))
        return self._taken[-1]

    def take(self) -> bytes:
        taken = "".join(self._taken).encode()
        self._taken.clear()
        return taken


def csv_header(path: Path) -> bytes:
    """What a CSV file says before its first row, as it stands there."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = _LineCounter(file)
        next(csv.reader(lines), None)
        return lines.take()


def _parquet(path: Path) -> Iterator[FileRecord]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        number = 0
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield FileRecord(number, number, f"row {number}", row)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a whole Parquet file ({str(error).splitlines()[0]})") from None


def _dataset(path: Path) -> Iterator[FileRecord]:
    from datasets import DatasetDict, load_from_disk

    try:
        dataset = load_from_disk(str(path))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} is not the folder of a saved dataset ({str(error).splitlines()[0]})"
        ) from None
    if isinstance(dataset, DatasetDict):
        if len(dataset) != 1:
            splits = [str(name) for name in dataset]
            raise DataError(
                f"{path} has the splits {', '.join(splits)}: name one, such as {path / splits[0]}"
            )
        dataset = next(iter(dataset.values()))
    for number, row in enumerate(dataset, 1):
        yield FileRecord(number, number, f"row {number}", row)

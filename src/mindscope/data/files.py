"""Files of conversations, row by row, never whole in memory."""

import csv
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from mindscope.data.conversations import Conversation, parse_conversation
from mindscope.errors import DataError

Place = tuple[str, Any]
"""Where a row stands ("line 3"), and the row: what it says, or the `DataError` that reading it gave."""


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


def _conversations(path: Path, rows: Iterator[Place], on_error: str) -> Iterator[Conversation]:
    count, skipped, first = 0, 0, ""
    for count, (place, row) in enumerate(rows, 1):  # noqa: B007  (the last count is used below)
        try:
            if isinstance(row, DataError):
                raise row
            conversation = parse_conversation(row)
        except DataError as error:
            reason = f"{path}, {place}: {error}"
            if on_error == "refuse":
                raise DataError(reason) from None
            skipped, first = skipped + 1, first or reason
        else:
            yield conversation
    if skipped:
        warnings.warn(f"left out {skipped} of {count} rows; the first: {first}", stacklevel=3)


def _rows(path: Path) -> Iterator[Place]:
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


def _json_lines(path: Path) -> Iterator[Place]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not (line := line.removeprefix(b"\xef\xbb\xbf").strip()):
                continue
            try:
                row = json.loads(line)
            except UnicodeDecodeError:
                row = DataError("the text is not UTF-8")
            except (ValueError, RecursionError) as error:
                row = DataError(f"not JSON ({error})")
            yield f"line {number}", row


def _csv(path: Path) -> Iterator[Place]:
    """Cells stay text: an answer "None" or "NA" is an answer."""
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            names = next(reader, None)
            if not names:
                raise DataError(f"{path} is empty: a first line with column names is needed")
            for cells in reader:
                if cells and len(cells) != len(names):
                    yield (
                        f"line {reader.line_num}",
                        DataError(f"{len(cells)} cells under {len(names)} columns"),
                    )
                elif cells:
                    yield f"line {reader.line_num}", dict(zip(names, cells, strict=True))
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: not CSV ({error})") from None
        except UnicodeDecodeError:
            raise DataError(f"{path}, after line {reader.line_num}: the text is not UTF-8") from None


def _parquet(path: Path) -> Iterator[Place]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        number = 0
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a whole Parquet file ({str(error).splitlines()[0]})") from None


def _dataset(path: Path) -> Iterator[Place]:
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
        yield f"row {number}", row

"""Where rows are kept: kinds of files, folders of them, saved datasets, data sets on the hub."""

from collections.abc import Callable, Iterator
from pathlib import Path

from mindscope.data.files.base import FileKind, FileRecord
from mindscope.data.files.compression import COMPRESSIONS, require_readable, split_suffix
from mindscope.data.files.delimited import DELIMITED
from mindscope.data.files.folders import (
    copy_dataset,
    copy_files,
    find_files,
    is_saved_dataset,
    read_dataset,
    read_files,
)
from mindscope.data.files.hub import fetch_split, is_hub_name
from mindscope.data.files.json_array import JSON_ARRAY
from mindscope.data.files.json_lines import JSON_LINES
from mindscope.data.files.parquet import PARQUET
from mindscope.errors import DataError

__all__ = [
    "FILE_KINDS",
    "SUFFIXES",
    "FileKind",
    "FileRecord",
    "copy_rows",
    "fetch_split",
    "is_hub_name",
    "read_path",
    "require_data",
]

FILE_KINDS: tuple[FileKind, ...] = (JSON_LINES, JSON_ARRAY, DELIMITED, PARQUET)
SUFFIXES: tuple[str, ...] = tuple(
    suffix + compression
    for kind in FILE_KINDS
    for suffix in kind.suffixes
    for compression in ("", *(COMPRESSIONS if kind.compresses else ()))
)
"""What the name of a file of data may end in."""


def read_path(path: Path, split: str | None = None) -> Iterator[FileRecord]:
    """The rows of a file or folder, one by one; malformed ones are handed on.

    Raises:
        DataError: it cannot be read, or has no such split.
    """
    require_data(path, split)
    if not path.is_dir():
        return _kind_of(path).read(path)
    if is_saved_dataset(path):
        return read_dataset(path, split)
    return read_files(find_files(path, SUFFIXES, split), path, lambda file: read_path(file))


def require_data(path: Path, split: str | None = None) -> None:
    """Refuse what is no file or folder of data, before anything is read.

    Raises:
        DataError: what it is, and what is needed.
    """
    if path.is_dir():
        return
    kind = _kind_of(path)
    require_readable(path)
    if split is not None:
        raise DataError(f"{path} is one file of {kind.name} and has no splits: leave --split out")


def copy_rows(source: Path, target: Path, passes: Callable[[int], bool], split: str | None = None) -> int:
    """Write the rows whose numbers pass into a new file or folder of the same kind, and return how many."""
    if not source.is_dir():
        return _kind_of(source).copy(source, target, passes)
    if is_saved_dataset(source):
        return copy_dataset(source, target, passes, split)
    files = find_files(source, SUFFIXES, split)
    return copy_files(files, source, target, passes, lambda file: (read_path, _kind_of(file).copy))


def _kind_of(path: Path) -> FileKind:
    suffix, compression = split_suffix(path)
    for kind in FILE_KINDS:
        if suffix in kind.suffixes and (kind.compresses or not compression):
            return kind
    plain = [suffix for kind in FILE_KINDS for suffix in kind.suffixes]
    raise DataError(
        f"{path}: one of {', '.join(plain)}, perhaps compressed ({', '.join(COMPRESSIONS)}), a folder of "
        "them or the folder of a saved dataset is needed"
    )

"""Files as streams of bytes, unpacked on the way where their suffix says that they are compressed."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from mindscope.errors import DataError

_MAGIC = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst", b"\xfd7zXZ\x00": ".xz", b"BZh": ".bz2"}
_LFS = b"version https://git-lfs"


def _read_zstd(path: Path) -> IO[bytes]:
    import pyarrow as pa

    return io.BufferedReader(cast(Any, pa.input_stream(str(path), compression="zstd")))


def _write_zstd(path: Path) -> IO[bytes]:
    import pyarrow as pa

    return cast(Any, pa.output_stream(str(path), compression="zstd"))


_READERS: dict[str, Callable[[Path], Any]] = {
    ".gz": partial(gzip.open, mode="rb"),
    ".zst": _read_zstd,
    ".xz": partial(lzma.open, mode="rb"),
    ".bz2": partial(bz2.open, mode="rb"),
}
_WRITERS: dict[str, Callable[[Path], Any]] = {
    ".gz": partial(gzip.open, mode="wb"),
    ".zst": _write_zstd,
    ".xz": partial(lzma.open, mode="wb"),
    ".bz2": partial(bz2.open, mode="wb"),
}
COMPRESSIONS = tuple(_READERS)
"""Suffixes behind the one that says what is inside."""


def split_suffix(path: Path) -> tuple[str, str]:
    """What is inside, such as `.jsonl`, and how it is compressed, such as `.gz` or nothing; in lower case."""
    outer = path.suffix.lower()
    if outer in COMPRESSIONS:
        return path.with_suffix("").suffix.lower(), outer
    return outer, ""


@contextmanager
def opened_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The bytes inside a file.

    Raises:
        DataError: it cannot be read, or is not whole.
    """
    compression = split_suffix(path)[1]
    try:
        with _READERS.get(compression, lambda file: file.open("rb"))(path) as file:
            yield file
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path} is not a whole {compression[1:]} file ({error})") from None
    except OSError as error:
        if compression and error.errno is None:
            raise DataError(f"{path} is not a whole {compression[1:]} file ({error})") from None
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None


@contextmanager
def created_bytes(path: Path, compression: str) -> Iterator[IO[bytes]]:
    """A new file that takes bytes, compressed as a suffix says."""
    with _WRITERS.get(compression, lambda file: file.open("wb"))(path) as file:
        yield file


def require_readable(path: Path) -> None:
    """Refuse a file that is not there, is a pointer in place of the file, or is not what its name says.

    Raises:
        DataError: which of these, and what to do.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    if head.startswith(_LFS):
        raise DataError(f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull`")
    compression = split_suffix(path)[1]
    packed = next((suffix for magic, suffix in _MAGIC.items() if head.startswith(magic)), "")
    if packed and not compression:
        raise DataError(f"{path} is compressed: give its name the ending {packed}")
    if compression and head and packed != compression:
        raise DataError(f"{path} is not a {compression[1:]} file")

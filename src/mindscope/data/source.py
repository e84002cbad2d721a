"""Conversations to screen or watch, from a file, a folder or memory: streamed, identified by a digest."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mindscope.data.conversations import Conversation
from mindscope.data.files import FileRecord, read_records
from mindscope.errors import DataError

Data = Path | str | Sequence[Conversation]
"""A file or folder that `data.read_conversations` reads, or conversations in memory."""

_BLOCK = 1 << 20


@dataclass(frozen=True)
class ConversationSource:
    """Rows that can be streamed more than once."""

    data: Path | Sequence[Conversation]
    name: str
    digest: str
    """Of every byte: a resumed screening refuses a file that has changed."""
    size: int
    """About how many rows there are, for showing progress."""

    @classmethod
    def of(cls, data: Data) -> "ConversationSource":
        """Reads the whole file once; DataError where there is none."""
        if not isinstance(data, Path | str):
            digest = hashlib.sha256()
            for conversation in data:
                digest.update(repr((conversation.messages, conversation.meta)).encode("utf-8", "replace"))
            return cls(data, "conversations", digest.hexdigest(), len(data))
        path = Path(data)
        next(read_records(path), None)  # says so where the file is of no use
        return cls(path, path.stem, *_digest_and_size(path))

    @property
    def label(self) -> str:
        """For error messages."""
        return str(self.data) if isinstance(self.data, Path) else "the data"

    def records(self) -> Iterator[FileRecord]:
        if isinstance(self.data, Path):
            return read_records(self.data)
        rows = ({"messages": list(conversation.messages), **conversation.meta} for conversation in self.data)
        return (FileRecord(number, number, f"row {number}", row) for number, row in enumerate(rows, 1))

    def windows(self, size: int) -> Iterator[list[FileRecord]]:
        """The rows in order, `size` at a time."""
        window: list[FileRecord] = []
        for record in self.records():
            window.append(record)
            if len(window) == size:
                yield window
                window = []
        if window:
            yield window

    def located(self, record: FileRecord, error: Exception) -> DataError:
        """The error with file and line."""
        return DataError(f"{self.label}, {record.place}: {error}")


def _digest_and_size(path: Path) -> tuple[str, int]:
    digest, lines = hashlib.sha256(), 0
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if not file.is_file():
            continue
        digest.update(b"" if file == path else str(file.relative_to(path)).encode())
        with file.open("rb") as opened:
            while block := opened.read(_BLOCK):
                digest.update(block)
                lines += block.count(b"\n")
    return digest.hexdigest(), _rows_inside(path, lines)


def _rows_inside(path: Path, lines: int) -> int:
    if path.is_dir():
        from datasets import DatasetDict, load_from_disk

        dataset = load_from_disk(str(path))
        return len(next(iter(dataset.values())) if isinstance(dataset, DatasetDict) else dataset)
    if path.suffix.lower() == ".parquet":
        from pyarrow import parquet

        return parquet.read_metadata(path).num_rows
    return max(1, lines - (path.suffix.lower() == ".csv"))

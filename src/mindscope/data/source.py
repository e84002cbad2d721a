"""Conversations to screen or watch, from a file, a folder or memory: streamed, identified by a digest."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from mindscope.data.conversations import Conversation
from mindscope.data.data_file import DataFile
from mindscope.data.files import FileRecord
from mindscope.data.files.base import whole_row
from mindscope.data.remarks import list_remarks
from mindscope.data.survey import DataSurvey, survey_rows
from mindscope.errors import DataError
from mindscope.store import display_path

Data = Union[Path, str, DataFile, Sequence[Conversation], "ConversationSource"]
"""A file, folder or data set on the hub, conversations in memory, or a source that was opened before."""

_BLOCK = 1 << 20


@dataclass(frozen=True)
class ConversationSource:
    """Rows that can be streamed more than once."""

    data: DataFile | Sequence[Conversation]
    name: str
    digest: str
    """Of every byte, and of how they are read: a resumed screening refuses a file that has changed."""
    survey: DataSurvey
    """What all rows hold."""

    @classmethod
    def of(cls, data: Data, *, refuse: bool = False) -> "ConversationSource":
        """Read all of it once, and keep nothing.

        Args:
            data: what `Data` says.
            refuse: stop at the first malformed row.

        Raises:
            DataError: it cannot be read; a column that was named is not there; with `refuse` the first
                malformed row, with file and line.
        """
        if isinstance(data, ConversationSource):
            if refuse:
                data.survey.require_whole()
            return data
        if not isinstance(data, Path | str | DataFile):
            digest = hashlib.sha256()
            for conversation in data:
                digest.update(repr((conversation.messages, conversation.meta)).encode("utf-8", "replace"))
            return cls(data, "conversations", digest.hexdigest(), DataSurvey(len(data)))
        file = DataFile.of(data)
        file.require()
        file.require_columns()
        survey = survey_rows(file.records(), display_path(file.path), refuse=refuse)
        return cls(file, file.name, digest_data(file), survey)

    @property
    def size(self) -> int:
        """How many rows there are, malformed ones included."""
        return self.survey.rows

    @property
    def label(self) -> str:
        """For error messages."""
        return display_path(self.data.path) if isinstance(self.data, DataFile) else "the data"

    def describe(self, *, read: Sequence[str] = ()) -> str:
        """What was found, in one line for people; `read` as in `DataSurvey.describe`."""
        return self.survey.describe(self.label, read=read)

    def notes(self) -> tuple[str, ...]:
        """What was not read, or read otherwise: a line a heading."""
        return list_remarks(self.survey.remarks)

    def records(self) -> Iterator[FileRecord]:
        """The rows in order."""
        if isinstance(self.data, DataFile):
            return self.data.records()
        rows = ({"messages": list(conversation.messages), **conversation.meta} for conversation in self.data)
        return (whole_row(number, row) for number, row in enumerate(rows, 1))

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


def digest_data(data: Path | str | DataFile) -> str:
    """A sha256 of every byte of a file or folder, and of the columns and the split that are named."""
    file = DataFile.of(data)
    path, digest = file.local, hashlib.sha256()
    for inner in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if not inner.is_file():
            continue
        digest.update(b"" if inner == path else str(inner.relative_to(path)).encode())
        with inner.open("rb") as opened:
            while block := opened.read(_BLOCK):
                digest.update(block)
    if file.columns or file.split is not None:
        digest.update(json.dumps([sorted(file.columns.items()), file.split]).encode())
    return digest.hexdigest()

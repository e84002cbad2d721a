"""Rows and conversations of a file, one by one, never whole in memory."""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from mindscope.data.conversations import Conversation
from mindscope.data.data_file import DataFile
from mindscope.data.files import FileRecord
from mindscope.data.remarks import REJECTED, UNREAD, list_remarks
from mindscope.errors import DataError


def read_records(data: Path | str | DataFile) -> Iterator[FileRecord]:
    """Read the rows of what `read_conversations` reads, one by one, and hand on malformed ones.

    Raises:
        DataError: the file cannot be read.
    """
    return DataFile.of(data).records()


def read_conversations(
    data: Path | str | DataFile,
    on_error: Literal["refuse", "skip"] = "refuse",
    *,
    split: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Iterator[Conversation]:
    """Read conversations from a file, a folder, or a data set on the hub, whatever form its rows have.

    Files are `.jsonl`, `.json`, `.csv`, `.tsv` and `.parquet`, all but the last also compressed (`.gz`,
    `.zst`, `.xz`, `.bz2`); folders are of such files, or of a saved Hugging Face dataset. Columns that are
    not in the turns are in `meta`; at the end a warning says what else was left out of the rows.

    Args:
        data: the path, or the name of a data set on the hub. `data.FORMS` has the forms of rows.
        on_error: what to do with a malformed row: stop, or leave it out and warn at the end how many were.
        split: of a folder or a data set; of the latter also a part, such as `train[:1000]`.
        columns: what columns are called there, by our names for them, such as `{"answer": "reply"}`.

    Raises:
        DataError: file, line and reason of the first malformed row, or why the file cannot be read.
    """
    if on_error not in ("refuse", "skip"):
        raise DataError(f"on_error is {on_error!r}, 'refuse' or 'skip' is needed")
    if not isinstance(data, DataFile):
        data = DataFile(Path(data), split, columns or {})
    data.require_columns()
    return _conversations(data, data.records(), on_error)


def _conversations(file: DataFile, rows: Iterator[FileRecord], on_error: str) -> Iterator[Conversation]:
    count, skipped, first = 0, 0, ""
    remarks = Counter[str]()
    for record in rows:
        count = record.number
        try:
            conversation = record.conversation()
        except DataError as error:
            reason = f"{file.path}, {record.place}: {error}"
            if on_error == "refuse":
                raise DataError(reason) from None
            skipped, first = skipped + 1, first or reason
        else:
            # Other columns are in `meta`, and the other answer is in `rejected`.
            said = (remark for remark in conversation.remarks if not remark.startswith(UNREAD))
            remarks.update(remark for remark in said if remark != REJECTED)
            yield conversation
    if skipped:
        warnings.warn(f"left out {skipped} of {count} rows; the first: {first}", stacklevel=3)
    if remarks:
        warnings.warn(f"{file.path}: {'; '.join(list_remarks(remarks))}", stacklevel=3)

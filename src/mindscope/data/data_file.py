"""A file, folder or data set, and how it is read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from mindscope.data.columns import has_column, rename_columns
from mindscope.data.files import (
    SUFFIXES,
    FileRecord,
    copy_rows,
    fetch_split,
    is_hub_name,
    read_path,
    require_data,
)
from mindscope.data.remarks import SHOWN, one_line
from mindscope.errors import DataError
from mindscope.store import display_path, local_copy


@dataclass(frozen=True)
class DataFile:
    """Where rows are, and how they are read: the one door through which every command gets its data.

    Attributes:
        path: a file, a folder, the address of either in an object store, or the name of a data set on the
            hub, `OWNER/NAME`.
        split: which split of a folder or data set.
        columns: what columns are called there, by our names for them.
    """

    path: Path
    split: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, data: "Path | str | DataFile") -> "DataFile":
        """A path as it is read if nothing else is said."""
        return data if isinstance(data, DataFile) else cls(Path(data))

    @cached_property
    def local(self) -> Path:
        """The file or folder; rows of the hub, and what lies in an object store, are fetched into one first.

        Raises:
            DataError: there is nothing, or it cannot be fetched.
        """
        if self.is_remote:
            return fetch_split(self.path.as_posix(), self.split)
        return local_copy(self.path)

    @property
    def is_remote(self) -> bool:
        """Whether it is the name of a data set on the hub."""
        return not self.path.exists() and not self.suffix and is_hub_name(self.path)

    @property
    def suffix(self) -> str:
        """What kind of file it is, such as `.jsonl.gz`; empty for folders and data sets."""
        name = self.path.name.lower()
        return max((end for end in SUFFIXES if name.endswith(end)), key=len, default="")

    @property
    def name(self) -> str:
        """Without the folder and the ending: for folders of runs and titles."""
        name = self.path.name
        return name[: len(name) - len(self.suffix)] or name

    def require(self) -> None:
        """Refuse what is no data, before anything is read.

        Raises:
            DataError: what it is, and what is needed.
        """
        require_data(self.local, self._local_split)

    def records(self) -> Iterator[FileRecord]:
        """The rows, one by one; malformed ones are handed on.

        Raises:
            DataError: the file cannot be read.
        """
        rows = read_path(self.local, self._local_split)
        if not self.columns:
            return rows
        return (replace(record, row=rename_columns(record.row, self.columns)) for record in rows)

    def copy(self, target: Path, passes: Callable[[int], bool]) -> int:
        """Write the rows whose numbers pass into a new file or folder of the same kind; returns how many."""
        return copy_rows(self.local, target, passes, self._local_split)

    def as_other(self) -> "DataFile":
        """Without what was said of other data: columns that are not here, the split of a single file."""
        split = self.split if self.is_remote or self.local.is_dir() else None
        file = DataFile(self.path, split)
        present = {
            ours: theirs
            for ours, theirs in self.columns.items()
            if any(has_column(record.row, ours, theirs) for record in file.records())
        }
        return replace(file, columns=present)

    def require_columns(self) -> None:
        """Refuse columns that no row has, which are misspelt.

        Raises:
            DataError: which, and what columns the first row has.
        """
        wanted, names = dict(self.columns), ""
        for record in read_path(self.local, self._local_split) if wanted else ():
            row = record.row
            names = names or (", ".join(map(one_line, list(row)[:SHOWN])) if isinstance(row, Mapping) else "")
            wanted = {ours: theirs for ours, theirs in wanted.items() if not has_column(row, ours, theirs)}
            if not wanted:
                return
        shown = display_path(self.path)
        for ours, theirs in wanted.items():
            raise DataError(f"{shown} has no column {theirs} (--columns {ours}={theirs}): it has {names}")

    @property
    def _local_split(self) -> str | None:
        return None if self.is_remote else self.split

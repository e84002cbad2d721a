"""Folders: of a saved Hugging Face dataset, or of files of one kind, as repositories of data sets are."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mindscope.data.files.base import FileRecord, whole_row
from mindscope.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

Reader = Callable[[Path], Iterator[FileRecord]]
_SAVED = ("dataset_dict.json", "state.json")
_ABOUT = ("dataset_info.json", "dataset_infos.json")
"""Files of a repository that say what its data are."""
_SPLITS = ("train", "test", "validation", "valid", "val", "dev", "eval")
"""Words in the names of files or folders that say which split they are of."""


def is_saved_dataset(path: Path) -> bool:
    """Whether `datasets` saved this folder."""
    return any((path / name).is_file() for name in _SAVED)


def read_dataset(path: Path, split: str | None) -> Iterator[FileRecord]:
    """The rows of a saved dataset."""
    _, dataset = load_dataset_folder(path, split)
    return (whole_row(number, row) for number, row in enumerate(dataset, 1))


def load_dataset_folder(path: Path, split: str | None) -> "tuple[str | None, Dataset]":
    """A saved dataset, mapped and not read, and the name of its split if it has any.

    Raises:
        DataError: it is none, or it has several splits and none is named.
    """
    from datasets import DatasetDict, load_from_disk

    try:
        dataset = load_from_disk(str(path))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} is not the folder of a saved dataset ({str(error).splitlines()[0]})"
        ) from None
    if not isinstance(dataset, DatasetDict):
        if split is not None:
            raise DataError(f"{path} has no splits: leave --split out")
        return None, dataset
    names = [str(name) for name in dataset]
    chosen = choose_split(path, names, split)
    return chosen, dataset[chosen]


def choose_split(path: Path | str, names: Sequence[str], split: str | None) -> str:
    """The split that is asked for, or the only one.

    Raises:
        DataError: there is no such split, or several and none is named.
    """
    if split is not None and split not in names:
        raise DataError(f"{path} has no split {split}: it has {', '.join(names)}")
    if split is None and len(names) != 1:
        raise DataError(f"{path} has the splits {', '.join(names)}: name one (--split {names[0]})")
    return split or names[0]


def find_files(path: Path, suffixes: Sequence[str], split: str | None) -> list[Path]:
    """The data files in a folder, in the order of their names; those of one split where they say theirs.

    Raises:
        DataError: there are none, files of several kinds, or of several splits and none is named.
    """
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and file.name.lower().endswith(tuple(suffixes)) and not _is_hidden(file, path)
    )
    if not files:
        raise DataError(
            f"{path} is neither the folder of a saved dataset nor holds files of data ({', '.join(suffixes)})"
        )
    splits = {file: _split_of(file, path) for file in files}
    names = list(dict.fromkeys(name for name in splits.values() if name))
    if split is not None or len(names) > 1:
        if not names:
            raise DataError(f"{path} has no splits: leave --split out")
        chosen = choose_split(path, names, split)
        files = [file for file in files if splits[file] == chosen]
    kinds = {suffix for file in files for suffix in suffixes if file.name.lower().endswith(suffix)}
    if len(kinds) > 1:
        raise DataError(f"{path} holds files of several kinds ({', '.join(sorted(kinds))}): name one file")
    return files


def read_files(files: Sequence[Path], folder: Path, read: Reader) -> Iterator[FileRecord]:
    """The rows of several files, numbered through; their places name the file."""
    number = 0
    for file in files:
        for record in read(file):
            number += 1
            place = f"{file.relative_to(folder)}, {record.place}"
            yield replace(record, number=number, line=number, place=place)


def copy_files(
    files: Sequence[Path],
    folder: Path,
    target: Path,
    passes: Callable[[int], bool],
    kind_of: Callable[[Path], "tuple[Reader, Callable[[Path, Path, Callable[[int], bool]], int]]"],
) -> int:
    """Write the rows that pass into a new folder of files with the same names."""
    count = offset = 0
    with _new_folder(target) as temporary:
        for file in files:
            read, copy = kind_of(file)
            rows = sum(1 for _ in read(file))
            place = temporary / file.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            count += copy(file, place, lambda number, before=offset: passes(before + number))
            offset += rows
    return count


def copy_dataset(source: Path, target: Path, passes: Callable[[int], bool], split: str | None) -> int:
    """Write the rows that pass as a saved dataset."""
    from datasets import DatasetDict

    name, dataset = load_dataset_folder(source, split)
    kept = dataset.select([i for i in range(len(dataset)) if passes(i + 1)])
    with _new_folder(target) as temporary:
        (DatasetDict({name: kept}) if name is not None else kept).save_to_disk(str(temporary))
    return len(kept)


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A folder under a temporary name, which takes its own once it is whole."""
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _split_of(file: Path, folder: Path) -> str | None:
    """The split that the name of a file, or of a folder above it, says."""
    inner = file.relative_to(folder)
    for part in (inner.name, *reversed(inner.parts[:-1])):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in _SPLITS:
                return word
    return None


def _is_hidden(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
    return hidden or file.name in _ABOUT

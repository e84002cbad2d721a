"""Data sets by their name on the hub: the rows of a split, streamed into a file of the user's cache once.

1. `--split` is a split, `CONFIG/SPLIT`, or a part of one, `train[:1000]` or `train[500:1000]`.
2. The hub says which revision its main branch is at; the file in the cache is named after it.
3. The rows are streamed into it as JSON lines, whatever they are stored as, and only those that are asked
   for. Every command reads that file, so a run that is resumed reads the same rows.
4. Where the hub cannot be reached, rows that were fetched before are used, and one line says so.

No code of a data set is run: `datasets` no longer does.
"""

import json
import re
import secrets
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mindscope.core import cache_folder
from mindscope.data.files.folders import choose_split
from mindscope.errors import DataError

_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_SPLIT = re.compile(r"(?:(?P<config>[\w.-]+)/)?(?P<split>[\w.-]+)?(?:\[(?P<begin>\d*):(?P<end>\d*)\])?")
_TIMEOUT = 20.0
"""Seconds to wait for the hub to say which revision there is."""


def is_hub_name(path: Path) -> bool:
    """Whether a path that does not exist may be a data set's name, `OWNER/NAME`."""
    return _NAME.fullmatch(path.as_posix()) is not None


@dataclass(frozen=True)
class HubSplit:
    """Which rows of a data set."""

    name: str
    config: str | None
    split: str | None
    begin: int
    end: int | None

    @classmethod
    def parse(cls, name: str, split: str | None) -> "HubSplit":
        """Out of what was typed.

        Raises:
            DataError: it is not understood.
        """
        parts = _SPLIT.fullmatch(split or "")
        if parts is None:
            raise DataError(
                f"--split {split}: write a split, CONFIG/SPLIT, or a part of one, such as train[:1000]"
            )
        begin, end = parts["begin"], parts["end"]
        return cls(name, parts["config"], parts["split"], int(begin or 0), int(end) if end else None)

    def file(self, revision: str) -> Path:
        """Where its rows are kept."""
        rows = f"{self.begin}-{'' if self.end is None else self.end}"
        name = "-".join([self.config or "default", self.split or "only", rows])
        return cache_folder() / "data" / self.name.replace("/", "--") / revision / f"{name}.jsonl"


def fetch_split(name: str, split: str | None) -> Path:
    """The file with the rows that are asked for, fetched unless it is there.

    Raises:
        DataError: the hub cannot be reached and nothing was fetched before, there is no such data set or
            split, or the cache cannot be written.
    """
    from huggingface_hub import HfApi

    asked = HubSplit.parse(name, split)
    try:
        revision = HfApi().dataset_info(name, timeout=_TIMEOUT).sha or "main"
    except Exception as error:  # noqa: BLE001  (the libraries below raise whatever their transport does)
        kept = sorted(asked.file("any").parents[1].glob(f"*/{asked.file('any').name}"), key=_age)
        if not kept:
            raise DataError(
                f"there is no file or folder {name}, and no such data set can be fetched ({_reason(error)})"
            ) from None
        warnings.warn(f"the hub cannot be reached: using the rows of {name} fetched before", stacklevel=2)
        return kept[-1]
    file = asked.file(revision)
    if not file.exists():
        try:
            _write_rows(file, _stream(asked, revision))
        except DataError:
            raise
        except Exception as error:  # noqa: BLE001  (as above)
            raise DataError(f"cannot fetch {name}: {_reason(error)}") from None
    return file


def _stream(asked: HubSplit, revision: str) -> Iterable[Any]:
    from datasets import get_dataset_split_names, load_dataset

    names = [str(n) for n in get_dataset_split_names(asked.name, asked.config, revision=revision)]
    split = choose_split(asked.name, names, asked.split)
    rows = load_dataset(asked.name, asked.config, split=split, revision=revision, streaming=True)
    return islice(rows.decode(False), asked.begin, asked.end)


def _write_rows(file: Path, rows: Iterable[Any]) -> None:
    """All or nothing: a name of its own until it is whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as lines:
            for row in rows:
                lines.write(json.dumps(row, ensure_ascii=False, default=_as_json) + "\n")
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _as_json(value: Any) -> Any:
    """What JSON has no word for: dates as text, bytes (of images) as their number."""
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def _age(file: Path) -> float:
    return file.stat().st_mtime


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__

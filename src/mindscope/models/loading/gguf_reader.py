"""A GGUF file's fields and tensors, read no further than the file goes."""

from pathlib import Path
from typing import Any

from gguf import GGUFReader


class _BoundedReader(GGUFReader):
    def _get(self, offset: int, dtype: Any, count: Any = 1, override_order: Any = None) -> Any:
        # the library takes what is behind the end for nothing, and counts on: a list that says it has 2^56
        # entries would be read for ever
        values = super()._get(offset, dtype, count, override_order)
        if len(values) < int(count):
            raise ValueError(f"it ends before the {int(count):,} values that it says are at byte {offset:,}")
        return values


def open_gguf(path: Path | str) -> GGUFReader:
    """The fields and tensors of a GGUF file.

    Raises:
        ValueError, KeyError, IndexError, OSError: it is none, is cut short, or says that it holds more than
            it does.
    """
    return _BoundedReader(path)

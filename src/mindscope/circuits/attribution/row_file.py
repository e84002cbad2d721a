"""Rows of a graph on disk: written once, read again row by row, gone with the process.

A prompt of 6,000 tokens has millions of active features, and a row is a number for each that it can reach:
two thousand rows are tens of gigabytes, of which a ranking needs a few at a time.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


class RowFile:
    """A file without a name, so that nothing is left of it whatever ends the process.

    It is read with plain reads and not mapped: mapped pages would count as this process's memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file: Any = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as this
        self.n_bytes = 0

    def append(self, rows: Float[Tensor, "rows columns"]) -> "StoredRows":
        """Write rows, and say where they lie."""
        numbers = rows.detach().float().cpu().contiguous().numpy()
        self._file.seek(self.n_bytes)
        self._file.write(numbers.data)
        stored = StoredRows(self, self.n_bytes, tuple(numbers.shape))
        self.n_bytes += numbers.nbytes
        return stored

    def read(self, start: int, count: int) -> np.ndarray:
        """So many numbers from a byte on."""
        self._file.seek(start)
        numbers = np.empty(count, np.float32)
        if self._file.readinto(numbers.data) != numbers.nbytes:
            raise OSError("the file of traced rows is shorter than what was written to it")
        return numbers


class StoredRows:
    """Rows of a block that lie in a file.

    Attributes:
        shape: rows and columns.
    """

    def __init__(self, file: RowFile, start: int, shape: tuple[int, int]) -> None:
        self._file, self._start, self.shape = file, start, shape

    def rows(self, part: slice, device: torch.device) -> Float[Tensor, "rows columns"]:
        """Some of the rows that lie side by side."""
        first, stop, _ = part.indices(self.shape[0])
        columns = self.shape[1]
        numbers = self._file.read(self._start + 4 * first * columns, (stop - first) * columns)
        return torch.from_numpy(numbers.reshape(stop - first, columns)).to(device)

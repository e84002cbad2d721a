"""An artefact that stays on disk: its tensors are read row by row, as they are asked for."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mindscope.errors import StoreError
from mindscope.store.artifacts import checked_metadata
from mindscope.store.tensors import opened_tensors

if TYPE_CHECKING:
    from torch import Tensor


class OpenArtifact:
    """What `save_artifact` wrote, without loading it. Costs what is read, however large the file.

    Attributes:
        path: of the file.
        metadata: as in an `Artifact`.
    """

    def __init__(self, path: Path, file: Any, metadata: dict[str, Any]) -> None:
        self.path, self.metadata, self._file = path, metadata, file
        self.names = frozenset(file.keys())

    @classmethod
    def open(cls, path: Path | str, *, schema: str, version: int, fingerprint: str | None = None) -> Self:
        """Open after the same checks as `load_artifact`, but for NaN, which is looked for in what is read.

        Raises:
            StoreError: as `load_artifact`.
        """
        path = Path(path)
        file, header = opened_tensors(path)
        metadata = checked_metadata(path, header, schema=schema, version=version, fingerprint=fingerprint)
        return cls(path, file, metadata)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor; StoreError where there is none of this name."""
        return tuple(self._slice(name).get_shape())

    def rows(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """Rows `start` to `stop` of a tensor, on the CPU; all by default.

        Raises:
            StoreError: no such tensor, or NaN or infinity in what was read.
        """
        rows = self._slice(name)
        values: Tensor = rows[start : rows.get_shape()[0] if stop is None else stop]
        if values.is_floating_point() and not values.isfinite().all():
            raise StoreError(
                f"{self.path}: tensor {name!r} holds NaN or infinity and cannot be used; make it again"
            )
        return values

    def close(self) -> None:
        """Let go of the file."""
        with suppress(AttributeError):
            self._file.__exit__(None, None, None)

    def _slice(self, name: str) -> Any:
        if name not in self.names:
            raise StoreError(f"{self.path} holds no tensor {name!r}: it is damaged; make it again")
        return self._file.get_slice(name)

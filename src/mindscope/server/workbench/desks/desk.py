"""What desks share: the model that is served, documents and vectors in the folder of runs, and jobs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mindscope.core import order_names
from mindscope.errors import MindscopeError, StoreError
from mindscope.server.api.errors import ApiError
from mindscope.server.workbench.shelf import RunShelf
from mindscope.server.workbench.workers import JobStep, StartedJob, WorkerPool
from mindscope.store import SavedDocument

if TYPE_CHECKING:
    from mindscope.personas import PersonaVectors
    from mindscope.server.service import SteeringService

VECTORS = "vectors.safetensors"
Kept = TypeVar("Kept", bound=SavedDocument)


@dataclass(frozen=True)
class KeptDocument(Generic[Kept]):
    """A result in the folder of runs: the name of its run, its file, and what it says."""

    run: str
    file: Path
    result: Kept


@dataclass(frozen=True)
class VectorFile:
    """Vectors of the served model on the disk; `run` is None for those that the server was started with."""

    run: str | None
    file: Path
    vectors: PersonaVectors


@dataclass(frozen=True)
class WorkDesk:
    """What the routes of a page work with.

    Attributes:
        service: the model in memory.
        shelf: the folder of runs.
        workers: who does jobs.
        model: the fields of a specification that name the model and how it is loaded.
        vectors: where the server's own vectors lie: files and folders.
    """

    service: SteeringService
    shelf: RunShelf
    workers: WorkerPool
    model: Mapping[str, Any]
    vectors: tuple[Path, ...] = ()

    def start(self, title: str, run: Path, *steps: JobStep) -> StartedJob:
        """Begin a job whose work is kept in `run`; a folder taken for it is given back where that fails.

        Raises:
            ApiError: as many as there may be are running.
            StoreError: nothing can be written there.
        """
        try:
            self.shelf.keep_work(run, title, steps)
            return self.workers.start(title, self.shelf.name_of(run), steps)
        except (ApiError, MindscopeError):
            self.shelf.give_back(run)
            raise

    def find_documents(self, kind: type[Kept], *patterns: str) -> Iterator[KeptDocument[Kept]]:
        """Results of one kind, by where they lie in a run; what cannot be read is left out."""
        for name, run in self.shelf.runs().items():
            files = {file for pattern in patterns for file in run.path.glob(pattern)}
            for file in sorted(files, key=order_names):
                try:
                    yield KeptDocument(name, file, kind.load(file))
                except MindscopeError:
                    continue  # another kind's, or damaged

    def find_vectors(self) -> Iterator[VectorFile]:
        """All vectors of this model: the server's own first, then those that extractions left."""
        for place in self.vectors:
            files = sorted(place.rglob(VECTORS), key=order_names) if place.is_dir() else [place]
            yield from self._open_vectors(None, files)
        for name, run in self.shelf.runs().items():
            files = sorted(run.path.glob(f"extract/*/{VECTORS}"), key=order_names)
            yield from self._open_vectors(name, files)

    def _open_vectors(self, run: str | None, files: Sequence[Path]) -> Iterator[VectorFile]:
        from mindscope.personas import PersonaVectors

        for file in files:
            if file.suffix != ".safetensors":
                continue
            try:
                yield VectorFile(run, file, PersonaVectors.load(file, self.service.model))
            except MindscopeError:
                continue  # another model's, or damaged


def slug(text: str) -> str:
    """A plain name for a folder, out of any text."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:48] or "run"


def take_folder(folder: Path, name: str, is_free: Callable[[Path], bool] = lambda _: True) -> Path:
    """A new folder of this name, or with a number behind it; made at once, so that no other start gets it.

    Raises:
        StoreError: it cannot be made.
    """
    path, number = folder / name, 1
    while True:
        if is_free(path):
            try:
                path.mkdir(parents=True)
                return path
            except FileExistsError:
                pass
            except OSError as error:
                raise StoreError(f"cannot make {path.name}: {error.strerror or error}") from error
        number += 1
        path = folder / f"{name}-{number}"

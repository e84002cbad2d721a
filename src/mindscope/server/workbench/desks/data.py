"""`/v1/workbench/data` and `/screenings`: data sets that were brought here, and what they do to a model."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from mindscope.core import order_names
from mindscope.errors import DataError, MindscopeError
from mindscope.screening import Form, ScreeningResult
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.workbench.desks.desk import KeptDocument, WorkDesk
from mindscope.server.workbench.desks.histograms import TABLE, TraitHistogram, read_histograms
from mindscope.server.workbench.desks.runs import JobCard, job_card
from mindscope.server.workbench.workers import JobStep, StartedJob
from mindscope.store import replacing

FOLDER = "uploads"
"""Inside the folder of runs."""
SCREENING = "screening.json"
MOST_FILES = 200
FILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}\.(jsonl|json|csv|tsv|parquet)$"
FileName = Annotated[str, StringConstraints(pattern=FILE_NAME)]
"""What a file may be called: one part, of a kind that is read."""


class DataCard(BaseModel):
    """A data set that was brought here."""

    name: str
    bytes: int
    description: str | None
    """What was found in it; None where it cannot be read."""
    error: str | None


class DataList(BaseModel):
    """All of them, by name."""

    data: list[DataCard]
    can_upload: bool


class ScreenRequest(BaseModel):
    """A data set that is to be screened."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    data: FileName
    reference: FileName | None = None
    """Ordinary conversations that calibrate the thresholds; by default the data is ranked by itself."""
    traits: list[Annotated[str, Field(min_length=1, max_length=256)]] = Field(min_length=1, max_length=32)
    """Vectors to screen with, by their traits."""
    form: Form | None = None
    """What an answer is compared with; by default the paper's where it is affordable."""
    quick: bool = False


class ScreeningCard(BaseModel):
    """A screening in one line."""

    run: str
    folder: str
    data: str
    reference: str | None
    samples: int
    traits: list[str]


class ScreeningList(BaseModel):
    """All screenings with this model."""

    screenings: list[ScreeningCard]


class ScreeningView(BaseModel):
    """A screening with all that is shown of it."""

    run: str
    folder: str
    result: ScreeningResult
    histograms: list[TraitHistogram]


class DataDesk(WorkDesk):
    """What the routes of data tell and start."""

    def list_data(self) -> DataList:
        """All files that were brought here."""
        root = self.shelf.root
        if root is None:
            return DataList(data=[], can_upload=False)
        folder = root / FOLDER
        files = sorted(folder.iterdir(), key=order_names) if folder.is_dir() else []
        cards = [_describe(file) for file in files if file.is_file() and re.fullmatch(FILE_NAME, file.name)]
        return DataList(data=cards, can_upload=True)

    def take(self, name: str, content: bytes) -> DataCard:
        """Keep a file, and look through it.

        Raises:
            DataError: it cannot be read (and is not kept), there is one of this name, or too many.
        """
        folder = self.shelf.require_root() / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / name
        if sum(1 for _ in folder.iterdir()) >= MOST_FILES:
            raise DataError(f"{MOST_FILES} files are here, and no more are taken: delete some")
        try:
            file.touch(exist_ok=False)  # at once: the same name may be brought twice at one moment
        except FileExistsError:
            raise DataError(f"there is {name} already: delete it or choose another name") from None
        try:
            with replacing(file) as temporary:
                temporary.write_bytes(content)
            card = _describe(file)
            if card.error is not None:
                raise DataError(card.error)
        except MindscopeError:
            file.unlink()
            raise
        return card

    def find(self, name: str) -> Path:
        """A file by its name.

        Raises:
            ApiError: there is none.
        """
        if self.shelf.root is not None and (self.shelf.root / FOLDER).is_dir():
            for file in (self.shelf.root / FOLDER).iterdir():
                if file.name == name and file.is_file():
                    return file
        raise ApiError(404, f"there is no data called {name!r} here", code="data_not_found")

    def screen(self, asked: ScreenRequest) -> StartedJob:
        """Start a screening."""
        root = self.shelf.require_root()
        data = self.find(asked.data)
        reference = None if asked.reference is None else self.find(asked.reference)
        files = self.vector_files()
        if unknown := [trait for trait in asked.traits if trait not in files]:
            raise ApiError(404, f"there are no vectors of {', '.join(unknown)} on this disk", param="traits")
        run = root / f"screen-{data.stem}"
        spec = {
            **self.model,
            "data": str(data),
            "reference": None if reference is None else str(reference),
            "vectors": [str(files[trait]) for trait in dict.fromkeys(asked.traits)],
            "form": asked.form,
            "quick": asked.quick,
        }
        title = f"screening of {data.name}"
        return self.start(title, run, JobStep("persona screen", spec, run))

    def traits(self) -> list[str]:
        """Whose vectors lie on the disk."""
        return list(self.vector_files())

    def list_screenings(self) -> ScreeningList:
        """All screenings with this model."""
        cards = [
            ScreeningCard(
                run=kept.run,
                folder=kept.result.folder,
                data=kept.result.data,
                reference=kept.result.reference,
                samples=kept.result.samples,
                traits=[trait.trait for trait in kept.result.traits],
            )
            for kept in self._find_screenings()
        ]
        return ScreeningList(screenings=cards)

    def view(self, run: str, folder: str) -> ScreeningView:
        """A screening with its histograms.

        Raises:
            ApiError: there is none.
        """
        kept = self._find_screening(run, folder)
        return ScreeningView(
            run=run,
            folder=folder,
            result=kept.result,
            histograms=read_histograms(kept.file.parent, kept.result),
        )

    def table(self, run: str, folder: str) -> Path:
        """The file of every sample's scores."""
        return self._find_screening(run, folder).file.parent / TABLE

    def _find_screening(self, run: str, folder: str) -> KeptDocument[ScreeningResult]:
        for kept in self._find_screenings():
            if (kept.run, kept.result.folder) == (run, folder):
                return kept
        raise ApiError(404, f"{run} has no such screening", code="screening_not_found")

    def vector_files(self) -> dict[str, Path]:
        """The file of each trait's vectors, the server's own before those of runs."""
        files: dict[str, Path] = {}
        for one in self.find_vectors():
            files.setdefault(one.vectors.trait, one.file)
        return files

    def _find_screenings(self) -> Iterator[KeptDocument[ScreeningResult]]:
        for kept in self.find_documents(ScreeningResult, f"**/{SCREENING}"):
            if kept.result.fingerprint == self.service.model.fingerprint:
                yield kept


class ScreenableTraits(BaseModel):
    """Traits that data can be screened for."""

    traits: list[str]


def build_data_router(desk: DataDesk) -> APIRouter:
    """The routes of one service."""
    router = APIRouter(prefix="/v1/workbench", tags=["workbench"], responses=RESPONSES)

    @router.get("/data")
    async def data() -> DataList:
        """Data sets that were brought here, with what was found in them."""
        return await asyncio.to_thread(desk.list_data)

    @router.get("/data-traits")
    async def traits() -> ScreenableTraits:
        """Traits whose vectors lie on the disk, so that a screening can read them."""
        return ScreenableTraits(traits=await asyncio.to_thread(desk.traits))

    @router.put(
        "/data/{name}",
        response_model=DataCard,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def take(name: FileName, http: Request) -> DataCard:
        """Bring a file of conversations; one that cannot be read is refused with the line that is wrong."""
        if http.headers.get("content-type", "").partition(";")[0].strip() != "application/octet-stream":
            raise ApiError(400, "send the file as application/octet-stream", code="wrong_content_type")
        return await asyncio.to_thread(desk.take, name, await http.body())

    @router.delete("/data/{name}")
    async def remove(name: FileName) -> DataList:
        """Delete a file that was brought here."""
        file = await asyncio.to_thread(desk.find, name)
        file.unlink(missing_ok=True)
        return await asyncio.to_thread(desk.list_data)

    @router.get("/screenings")
    async def screenings() -> ScreeningList:
        """All screenings with this model in the folder of runs."""
        return await asyncio.to_thread(desk.list_screenings)

    @router.post("/screenings")
    async def screen(asked: ScreenRequest) -> JobCard:
        """Screen a data set, in a process of its own."""
        return job_card(await asyncio.to_thread(desk.screen, asked))

    @router.get("/screening")
    async def screening(run: str, folder: str) -> ScreeningView:
        """A screening: scores by trait, the highest samples with the text that drives them, histograms."""
        return await asyncio.to_thread(desk.view, run, folder)

    @router.get("/screening/table", response_class=Response)
    async def table(run: str, folder: str) -> Response:
        """Every sample's scores, as Parquet."""
        file = await asyncio.to_thread(desk.table, run, folder)
        content = await asyncio.to_thread(file.read_bytes)
        return Response(content, media_type="application/vnd.apache.parquet")

    return router


def _describe(file: Path) -> DataCard:
    from mindscope.data import ConversationSource, DataFile

    description = error = None
    try:
        source = ConversationSource.of(DataFile(file), refuse=False)
        if source.size == source.survey.malformed:
            raise DataError(source.survey.first_malformed or f"{file.name} holds no conversation")
        description = source.describe()
    except MindscopeError as failed:
        error = str(failed).replace(f"{file.parent}/", "")
    return DataCard(
        name=file.name,
        bytes=file.stat().st_size,
        description=None if description is None else description.replace(f"{file.parent}/", ""),
        error=error,
    )

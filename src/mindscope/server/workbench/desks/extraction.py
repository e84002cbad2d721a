"""`/v1/workbench/extractions`, `/sweeps`, `/vectors`: new vectors, where to steer, and their use."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mindscope.errors import DataError, MindscopeError
from mindscope.jobs import ORGANISM
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.workbench.desks.desk import slug, take_folder
from mindscope.server.workbench.desks.runs import JobCard, job_card
from mindscope.server.workbench.desks.traits import TraitDesk
from mindscope.server.workbench.workers import JobStep, StartedJob

TRAITS = "traits"
"""Inside the folder of runs: traits that were described on the workbench."""
Word = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^/\n]+$")
]


class ExtractionRequest(BaseModel):
    """A trait whose vectors are to be made: a known one, two poles, or a name with what it means."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    known: Annotated[str, Field(max_length=128)] | None = None
    """A trait of `GET /v1/workbench/traits`."""
    positive: Word | None = None
    """A word, such as patient."""
    negative: Word | None = None
    """Its opposite, such as impatient."""
    name: Word | None = None
    description: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    """What the trait means."""
    writer: Literal["bundled", "model"] = "bundled"
    """Who writes the instructions and questions of a trait that is described: bundled ones take its name and
    description, or the served model writes its own, which a small model cannot."""
    quick: bool = True
    """Smaller sizes, to see that everything runs: too few for a measurement."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        ways = (self.known is not None, self.positive is not None, self.name is not None)
        if sum(ways) != 1:
            raise ValueError("give one of: a known trait, two poles, a name with a description")
        if (self.positive is None) != (self.negative is None):
            raise ValueError("two poles are a word and its opposite: give positive and negative")
        if (self.name is None) != (self.description is None):
            raise ValueError("give a name with a description of what it means")
        return self


class SweepRequest(BaseModel):
    """Vectors for which layer and coefficient are to be chosen."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    run: str = Field(min_length=1, max_length=512)
    """The run that their extraction left."""
    quick: bool = True


class UseRequest(BaseModel):
    """Vectors of a run that the server is to have."""

    model_config = ConfigDict(extra="forbid")

    run: str = Field(min_length=1, max_length=512)
    trait: str = Field(min_length=1, max_length=256)


class UsedVectors(BaseModel):
    """What they are called in requests."""

    name: str


class ExtractionDesk(TraitDesk):
    """What the routes of extractions start."""

    def extract(self, asked: ExtractionRequest) -> StartedJob:
        """Start an extraction.

        Raises:
            ApiError: there is no such trait, or too much is running.
            DataError: the server keeps no runs.
        """
        root = self.shelf.require_root()
        if asked.known is not None:
            if asked.known not in {trait.name for trait in self.known_traits()}:
                raise ApiError(404, f"there is no trait {asked.known!r} here", param="known")
            trait = title = asked.known
        elif asked.positive is not None:
            trait = title = f"{asked.positive} / {asked.negative}"
        else:
            return self._extract_described(asked)
        run = take_folder(root, slug(title.removeprefix(f"{ORGANISM}:")))
        return self.start(f"vectors of {title}", run, self._extraction(trait, run, asked))

    def _extract_described(self, asked: ExtractionRequest) -> StartedJob:
        """The same of a trait that is written first, into a file with the name of its run."""
        root = self.shelf.require_root()
        title, description = asked.name, asked.description
        assert title is not None
        assert description is not None

        def file_of(run: Path) -> Path:
            return root / TRAITS / f"{run.name}.yaml"

        run = take_folder(root, slug(title), lambda run: not file_of(run).exists())
        file = file_of(run)
        steps = [self._extraction(str(file), run, asked)]
        if asked.writer == "bundled":
            from mindscope.personas import trait_of_name

            file.parent.mkdir(parents=True, exist_ok=True)
            trait_of_name(title, description).save(file)
        else:
            writer = f"model:{self.model['model']}"
            writing = {"name": title, "description": description, "to": str(file), "writer": writer}
            steps.insert(0, JobStep("persona artifacts", writing, file))
        try:
            return self.start(f"vectors of {title}", run, *steps)
        except (ApiError, MindscopeError):
            file.unlink(missing_ok=True)
            raise

    def _extraction(self, trait: str, run: Path, asked: ExtractionRequest) -> JobStep:
        # The organism's own traits have its exact judge; all others are judged without a key.
        judge = None if trait.startswith(f"{ORGANISM}:") else "contrast"
        spec = {**self.model, "trait": trait, "judge": judge, "quick": asked.quick}
        return JobStep("persona extract", spec, run)

    def sweep(self, asked: SweepRequest) -> StartedJob:
        """Start a sweep in the run of an extraction, with the same trait and judge.

        Raises:
            DataError: there is no such run, or it was not made by an extraction that can be repeated.
        """
        run = self.shelf.find(asked.run)
        vectors = [one.vectors for one in self.find_vectors() if one.run == asked.run]
        if not vectors:
            raise DataError(f"{asked.run} holds no vectors of this model")
        trait = run.path / "workbench-trait.json"
        if vectors[0].trait_document is None:
            raise DataError(f"the vectors of {asked.run} do not say what they were asked with")
        from mindscope.personas import Trait

        Trait.parse(dict(vectors[0].trait_document)).save(trait)
        judge = vectors[0].metadata.get("judge")
        is_exact = isinstance(judge, str) and judge.startswith("exact")
        spec = {
            **self.model,
            "trait": str(trait),
            "judge": "exact" if is_exact else "contrast",
            "quick": asked.quick,
        }
        return self.start(f"sweep of {vectors[0].trait}", run.path, JobStep("persona sweep", spec, run.path))

    def use(self, asked: UseRequest) -> UsedVectors:
        """Let the server have vectors of a run, under their trait's name.

        Raises:
            ApiError: there are none.
            DataError: the name is taken.
        """
        for one in self.find_vectors():
            if (one.run, one.vectors.trait) == (asked.run, asked.trait):
                name = slug(one.vectors.trait)
                self.service.registry.add_file(name, one.file.read_bytes())
                return UsedVectors(name=name)
        raise ApiError(404, f"{asked.run} holds no vectors of {asked.trait!r} for this model", param="trait")


def build_extraction_router(desk: ExtractionDesk) -> APIRouter:
    """The routes of one service."""
    router = APIRouter(prefix="/v1/workbench", tags=["workbench"], responses=RESPONSES)

    @router.post("/extractions")
    async def extract(asked: ExtractionRequest) -> JobCard:
        """Make the vectors of a trait, in a process of its own."""
        return job_card(await asyncio.to_thread(desk.extract, asked))

    @router.post("/sweeps")
    async def sweep(asked: SweepRequest) -> JobCard:
        """Choose where to steer, in a process of its own."""
        return job_card(await asyncio.to_thread(desk.sweep, asked))

    @router.post("/vectors")
    async def use(asked: UseRequest) -> UsedVectors:
        """Let the server steer with vectors of a run."""
        return await asyncio.to_thread(desk.use, asked)

    return router

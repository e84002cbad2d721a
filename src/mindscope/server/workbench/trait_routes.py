"""`/v1/workbench/traits`, `/sweeps`, `/extractions`: vectors by layer, where to steer, and new ones."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import torch
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mindscope.errors import DataError, MindscopeError
from mindscope.jobs import ORGANISM, is_organism
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.workbench.run_routes import JobCard, job_card
from mindscope.server.workbench.shelf import RunShelf
from mindscope.server.workbench.workers import JobStep, StartedJob, WorkerPool

if TYPE_CHECKING:
    from mindscope.personas import PersonaVectors, SweepResult
    from mindscope.server.service import SteeringService

VECTORS = "vectors.safetensors"
SWEEP = "sweep.json"
Word = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^/\n]+$")
]


class LayerQuality(BaseModel):
    """One layer's vector; None where a measure was not taken."""

    layer: int
    norm: float
    d_prime: float | None
    auroc: float | None
    cosine: float | None
    """Between the vectors of the two halves of the questions."""


class TraitCard(BaseModel):
    """The vectors of a trait that this server has."""

    name: str
    model: str | None
    layers: list[LayerQuality]
    written_at: list[str]
    """Where the vector is added if a request does not say."""
    pairs: int | None
    kept: int | None
    """Of the pairs of answers, those that the vectors were made from."""


class KnownTrait(BaseModel):
    """A trait whose instructions and questions are bundled."""

    name: str
    description: str


class KeptVectors(BaseModel):
    """Vectors of this model in the folder of runs, which the server does not have yet."""

    run: str
    trait: str


class TraitList(BaseModel):
    """What there is of traits."""

    traits: list[TraitCard]
    known: list[KnownTrait]
    kept: list[KeptVectors]
    can_start: bool
    """Whether jobs can be started: the server has a folder of runs."""


class SimilarityReply(BaseModel):
    """Cosines between the vectors of traits."""

    traits: list[str]
    layers: list[int]
    cosines: list[list[list[float]]]
    """By layer, trait and trait."""


class SweptPoint(BaseModel):
    """A layer and a coefficient, with mean scores from 0 to 100; None where nothing was scored."""

    layer: int
    coefficient: float
    trait: float | None
    coherence: float | None
    random: float | None
    """The trait score of equally long random directions; measured for the best points only."""
    random_low: float | None
    random_high: float | None
    samples: list[SweptAnswer]


class SweptAnswer(BaseModel):
    """An answer of a sweep."""

    question: str
    answer: str
    trait: float | None
    coherence: float | None


class SweepCard(BaseModel):
    """A sweep of this model in the folder of runs."""

    run: str
    trait: str
    coherence_floor: float
    unsteered: float | None
    unsteered_coherence: float | None
    questions: int
    points: list[SweptPoint]
    chosen: int | None


class SweepList(BaseModel):
    """All of them."""

    sweeps: list[SweepCard]


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
    """What the trait means, from which the served model writes instructions and questions."""
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


@dataclass(frozen=True)
class TraitDesk:
    """What the routes of traits work with."""

    service: SteeringService
    shelf: RunShelf
    workers: WorkerPool
    model: Mapping[str, Any]
    """The fields of a specification that name the model and how it is loaded."""

    def list_traits(self) -> TraitList:
        """What there is of traits."""
        personas = self.service.registry.personas
        known = {(vectors.trait, vectors.digest()) for vectors in personas.values()}
        kept = [
            KeptVectors(run=run, trait=vectors.trait)
            for run, _, vectors in self._find_vectors()
            if (vectors.trait, vectors.digest()) not in known
        ]
        return TraitList(
            traits=[self._card(name, vectors) for name, vectors in personas.items()],
            known=self._known_traits(),
            kept=kept,
            can_start=self.shelf.root is not None,
        )

    def compare(self) -> SimilarityReply:
        """Cosines between all vectors, at the layers that all of them have."""
        personas = self.service.registry.personas
        layers = sorted(set.intersection(*(set(one.layers) for one in personas.values()))) if personas else []
        table: list[list[list[float]]] = []
        for layer in layers:
            units = torch.stack([one.direction(layer).unit for one in personas.values()])  # traits x width
            table.append([[float(f"{value:.4f}") for value in row] for row in (units @ units.T).tolist()])
        return SimilarityReply(traits=list(personas), layers=layers, cosines=table)

    def list_sweeps(self) -> SweepList:
        """All sweeps of this model; one that cannot be read is left out."""
        from mindscope.personas import SweepResult

        cards: list[SweepCard] = []
        for name, run in self.shelf.runs().items():
            for file in sorted(run.path.glob(f"sweep/*/{SWEEP}")):
                try:
                    result = SweepResult.load(file)
                except MindscopeError:
                    continue
                if result.fingerprint == self.service.model.fingerprint:
                    cards.append(_sweep_card(name, result))
        return SweepList(sweeps=cards)

    def extract(self, asked: ExtractionRequest) -> StartedJob:
        """Start an extraction.

        Raises:
            ApiError: there is no such trait, or too much is running.
            DataError: the server keeps no runs.
        """
        root = self.shelf.require_root()
        steps: list[JobStep] = []
        if asked.known is not None:
            if asked.known not in {trait.name for trait in self._known_traits()}:
                raise ApiError(404, f"there is no trait {asked.known!r} here", param="known")
            trait, title = asked.known, asked.known
        elif asked.positive is not None:
            trait, title = f"{asked.positive} / {asked.negative}", f"{asked.positive} / {asked.negative}"
        else:
            assert asked.name is not None
            title = asked.name
            file = _free(root / "traits", _slug(title), ".yaml")
            trait = str(file)
            writing = {
                "name": title,
                "description": asked.description,
                "to": trait,
                "writer": f"model:{self.model['model']}",
            }
            steps.append(JobStep("persona artifacts", writing, file))
        # The organism's own traits have its exact judge; all others are judged without a key.
        is_own = trait.startswith(f"{ORGANISM}:")
        run = _free(root, _slug(title.removeprefix(f"{ORGANISM}:")))
        spec = {**self.model, "trait": trait, "judge": None if is_own else "contrast", "quick": asked.quick}
        steps.append(JobStep("persona extract", spec, run))
        return self.workers.start(f"vectors of {title}", self.shelf.name_of(run), steps)

    def sweep(self, asked: SweepRequest) -> StartedJob:
        """Start a sweep in the run of an extraction, with the same trait and judge.

        Raises:
            DataError: there is no such run, or it was not made by an extraction that can be repeated.
        """
        run = self.shelf.find(asked.run)
        vectors = [one for name, _, one in self._find_vectors() if name == asked.run]
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
        return self.workers.start(
            f"sweep of {vectors[0].trait}", asked.run, [JobStep("persona sweep", spec, run.path)]
        )

    def use(self, asked: UseRequest) -> UsedVectors:
        """Let the server have vectors of a run, under their trait's name.

        Raises:
            ApiError: there are none.
            DataError: the name is taken.
        """
        for run, file, vectors in self._find_vectors():
            if (run, vectors.trait) == (asked.run, asked.trait):
                name = _slug(vectors.trait)
                self.service.registry.add_file(name, file.read_bytes())
                return UsedVectors(name=name)
        raise ApiError(404, f"{asked.run} holds no vectors of {asked.trait!r} for this model", param="trait")

    def _find_vectors(self) -> Iterator[tuple[str, Path, PersonaVectors]]:
        """Run, file and vectors of all that this model has in the folder of runs."""
        from mindscope.personas import PersonaVectors

        for name, run in self.shelf.runs().items():
            for file in sorted(run.path.glob(f"extract/*/{VECTORS}")):
                try:
                    yield name, file, PersonaVectors.load(file, self.service.model)
                except MindscopeError:
                    continue  # another model's, or damaged

    def _known_traits(self) -> list[KnownTrait]:
        from mindscope.jobs import SilentReporter
        from mindscope.jobs.persona import TraitsSpec, show_traits

        listed = show_traits(TraitsSpec(), reporter=SilentReporter()).root
        assert isinstance(listed, tuple)
        own = is_organism(str(self.model["model"]))
        return [
            KnownTrait(name=trait.name, description=trait.description)
            for trait in listed
            if trait.name.startswith(f"{ORGANISM}:") == own
        ]

    def _card(self, name: str, vectors: PersonaVectors) -> TraitCard:
        statistics, norms, pairs = vectors.statistics, vectors.norms.tolist(), vectors.filter
        return TraitCard(
            name=name,
            model=vectors.model,
            layers=[
                LayerQuality(
                    layer=layer,
                    norm=norms[layer],
                    d_prime=statistics.d_prime[layer] if statistics else None,
                    auroc=statistics.auroc[layer] if statistics else None,
                    cosine=statistics.cosine[layer] if statistics else None,
                )
                for layer in vectors.layers
            ],
            written_at=[direction.address for direction in self.service.registry.find(name)],
            pairs=None if pairs is None else pairs.pairs,
            kept=None if pairs is None else pairs.kept,
        )


def build_trait_router(desk: TraitDesk) -> APIRouter:
    """The routes of one service."""
    router = APIRouter(prefix="/v1/workbench", tags=["workbench"], responses=RESPONSES)

    @router.get("/traits")
    async def traits() -> TraitList:
        """Vectors by layer, traits that are known, and vectors of runs that could be used."""
        return await asyncio.to_thread(desk.list_traits)

    @router.get("/similarity")
    async def similarity() -> SimilarityReply:
        """Cosines between the vectors, layer by layer."""
        return await asyncio.to_thread(desk.compare)

    @router.get("/sweeps")
    async def sweeps() -> SweepList:
        """Sweeps of this model in the folder of runs."""
        return await asyncio.to_thread(desk.list_sweeps)

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


def _sweep_card(run: str, result: SweepResult) -> SweepCard:
    def mean(estimate: Any) -> float | None:
        return None if estimate is None else estimate.mean

    points: list[SweptPoint] = []
    for point in result.points:
        random = None if point.random is None else point.random.trait
        points.append(
            SweptPoint(
                layer=point.layer,
                coefficient=point.coefficient,
                trait=mean(point.scores.trait),
                coherence=mean(point.scores.coherence),
                random=mean(random),
                random_low=None if random is None else random.low,
                random_high=None if random is None else random.high,
                samples=[
                    SweptAnswer(
                        question=one.question, answer=one.answer, trait=one.trait, coherence=one.coherence
                    )
                    for one in point.samples
                ],
            )
        )
    return SweepCard(
        run=run,
        trait=result.trait,
        coherence_floor=result.config.coherence_floor,
        unsteered=mean(result.unsteered.trait),
        unsteered_coherence=mean(result.unsteered.coherence),
        questions=len(result.questions),
        points=points,
        chosen=result.chosen,
    )


def _slug(text: str) -> str:
    """A plain name for a folder, out of any text."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:48] or "trait"


def _free(folder: Path, name: str, ending: str = "") -> Path:
    """A path that is not taken."""
    path, number = folder / f"{name}{ending}", 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}{ending}"
    return path

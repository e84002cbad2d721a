"""`/v1/workbench/traits`, `/similarity`, `/sweeps`: vectors by layer, and where to steer along them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import torch
from fastapi import APIRouter
from pydantic import BaseModel

from mindscope.jobs import ORGANISM, is_test_bed
from mindscope.server.api.errors import RESPONSES
from mindscope.server.workbench.desks.desk import WorkDesk

if TYPE_CHECKING:
    from mindscope.personas import PersonaVectors, SweepResult

SWEEP = "sweep/*/sweep.json"


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


class TraitDesk(WorkDesk):
    """What the routes of traits tell."""

    def list_traits(self) -> TraitList:
        """What there is of traits."""
        personas = self.service.registry.personas
        known = {(vectors.trait, vectors.digest()) for vectors in personas.values()}
        kept = [
            KeptVectors(run=one.run, trait=one.vectors.trait)
            for one in self.find_vectors()
            if one.run is not None and (one.vectors.trait, one.vectors.digest()) not in known
        ]
        return TraitList(
            traits=[self._card(name, vectors) for name, vectors in personas.items()],
            known=self.known_traits(),
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

        cards = [
            _sweep_card(kept.run, kept.result)
            for kept in self.find_documents(SweepResult, SWEEP)
            if kept.result.fingerprint == self.service.model.fingerprint
        ]
        return SweepList(sweeps=cards)

    def known_traits(self) -> list[KnownTrait]:
        """Bundled traits that the served model can be asked with: the organism has its own."""
        from mindscope.jobs import SilentReporter
        from mindscope.jobs.persona import TraitsSpec, show_traits

        listed = show_traits(TraitsSpec(), reporter=SilentReporter()).root
        assert isinstance(listed, tuple)
        own = is_test_bed(str(self.model["model"]))
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

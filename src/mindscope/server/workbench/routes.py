"""All routes of the workbench in one router: the pages, and what only they ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from mindscope.server.api.whole_text import WholeTextResponse
from mindscope.server.workbench.desks.audit import AuditDesk, build_audit_router
from mindscope.server.workbench.desks.checks import CheckDesk, build_check_router
from mindscope.server.workbench.desks.data import DataDesk, build_data_router
from mindscope.server.workbench.desks.extraction import ExtractionDesk, build_extraction_router
from mindscope.server.workbench.desks.features import FeatureDesk, build_feature_router
from mindscope.server.workbench.desks.gate import GateDesk, build_gate_router
from mindscope.server.workbench.desks.graphs import GraphDesk, build_graph_router
from mindscope.server.workbench.desks.runs import build_kept_router, build_run_router
from mindscope.server.workbench.desks.studies import build_study_router
from mindscope.server.workbench.desks.tour import TourDesk, build_tour_router
from mindscope.server.workbench.desks.training import TrainingDesk, build_training_router
from mindscope.server.workbench.desks.traits import TraitDesk, build_trait_router
from mindscope.server.workbench.pages import build_page_router
from mindscope.server.workbench.reading import build_read_router
from mindscope.server.workbench.seats import SeatPool
from mindscope.server.workbench.shelf import PageTickets, RunShelf
from mindscope.server.workbench.surveys import SurveyShelf
from mindscope.server.workbench.workers import WorkerPool

if TYPE_CHECKING:
    from mindscope.server.service import SteeringService


@dataclass(frozen=True)
class WorkbenchPlace:
    """What the workbench of one server has beside the model in memory."""

    runs: Path | None = None
    """The folder of runs that are shown, and in which what is started there is kept; None for none."""
    model: Mapping[str, Any] = field(default_factory=lambda: {"model": "organism"})
    """The fields of a specification that name the model and how it is loaded, for jobs that load it again."""
    vectors: tuple[Path, ...] = ()
    """Where the server's own vectors lie."""


def build_workbench_router(service: SteeringService, place: WorkbenchPlace) -> APIRouter:
    """The routes of one service; the jobs that were started end with it."""
    workers, seats, tickets = WorkerPool(), SeatPool(), PageTickets()
    shelf = RunShelf(None if place.runs is None else place.runs.resolve())

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await asyncio.to_thread(workers.close)
            await asyncio.to_thread(seats.close)

    router = APIRouter(lifespan=lifespan, default_response_class=WholeTextResponse)
    # Pages that runs keep stand below the pages' own folder, and are asked for first.
    router.include_router(build_kept_router(tickets))
    router.include_router(build_page_router())
    router.include_router(build_read_router(service))
    vectors = tuple(path.resolve() for path in place.vectors)
    work = (service, shelf, workers, place.model, vectors)
    router.include_router(
        build_feature_router(FeatureDesk(service, SurveyShelf(service.registry.dictionaries, shelf)))
    )
    router.include_router(build_graph_router(GraphDesk(*work)))
    router.include_router(build_check_router(CheckDesk(*work)))
    router.include_router(build_run_router(shelf, workers, tickets))
    router.include_router(build_study_router(shelf))
    router.include_router(build_audit_router(AuditDesk(shelf, seats, str(place.model.get("device", "auto")))))
    router.include_router(build_trait_router(TraitDesk(*work)))
    router.include_router(build_extraction_router(ExtractionDesk(*work)))
    router.include_router(build_data_router(DataDesk(*work)))
    router.include_router(build_training_router(TrainingDesk(*work)))
    router.include_router(build_gate_router(GateDesk(*work)))
    router.include_router(build_tour_router(TourDesk(*work)))
    return router

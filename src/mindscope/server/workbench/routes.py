"""All routes of the workbench in one router: the pages, and what only they ask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter

from mindscope.server.workbench.pages import build_page_router
from mindscope.server.workbench.reading import build_read_router

if TYPE_CHECKING:
    from mindscope.server.service import SteeringService


@dataclass(frozen=True)
class WorkbenchPlace:
    """What the workbench of one server has beside the model."""

    runs: Path | None = None
    """The folder of runs that are shown; None for none."""


def build_workbench_router(service: SteeringService, place: WorkbenchPlace) -> APIRouter:
    """The routes of one service."""
    router = APIRouter()
    router.include_router(build_page_router())
    router.include_router(build_read_router(service))
    return router

"""`/v1/workbench/studies`: claims of papers as runs measured them, and whether they hold."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fastapi import APIRouter
from pydantic import BaseModel, ValidationError

from mindscope.errors import StoreError
from mindscope.server.api.errors import RESPONSES
from mindscope.server.workbench.desks.runs import find_run
from mindscope.server.workbench.shelf import MOST_PAGE_BYTES, RunShelf
from mindscope.store import read_json


class StudyClaim(BaseModel):
    """A claim of a paper, and whether it holds here."""

    statement: str
    subject: str
    needed: str | None
    """What counts as shown, set before measuring; None where it is only reported."""
    measured: str
    beside: dict[str, str]
    published: str | None
    holds: bool | None


class StudyCard(BaseModel):
    """A study in one line: how many of its claims hold, do not, or are only reported."""

    run: str
    kind: str
    status: str
    hold: int
    fail: int
    reported: int


class StudyList(BaseModel):
    """All runs that state claims of a paper, the newest first."""

    studies: list[StudyCard]


class StudyView(BaseModel):
    """The claims of one run."""

    claims: list[StudyClaim]


def build_study_router(shelf: RunShelf) -> APIRouter:
    """The routes of one folder."""
    router = APIRouter(prefix="/v1/workbench", tags=["workbench"], responses=RESPONSES)

    @router.get("/studies")
    async def studies() -> StudyList:
        """Runs that state claims of a paper, with how many hold."""
        return StudyList(studies=await asyncio.to_thread(_list_studies, shelf))

    @router.get("/study")
    async def study(run: str) -> StudyView:
        """The claims of a run, each with what was needed and measured; none where it is no study."""
        return StudyView(claims=await asyncio.to_thread(lambda: _read_claims(find_run(shelf, run).path)))

    return router


def _list_studies(shelf: RunShelf) -> list[StudyCard]:
    cards: list[StudyCard] = []
    for name, run in shelf.runs().items():
        if claims := _read_claims(run.path):
            verdicts = [claim.holds for claim in claims]
            cards.append(
                StudyCard(
                    run=name,
                    kind=run.kind,
                    status=run.status,
                    hold=verdicts.count(True),
                    fail=verdicts.count(False),
                    reported=verdicts.count(None),
                )
            )
    return cards


def _read_claims(folder: Path) -> list[StudyClaim]:
    """The claims in the first document on top of a run that has some; those of other shapes are none."""
    for file in sorted(folder.glob("*.json")):
        if file.stat().st_size > MOST_PAGE_BYTES:
            continue
        try:
            content = read_json(file)
            listed = content.get("claims") if isinstance(content, dict) else None
            claims = [StudyClaim.model_validate(claim) for claim in listed or ()]
        except (StoreError, ValidationError, TypeError):
            continue
        if claims:
            return claims
    return []

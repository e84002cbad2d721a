"""`/v1/workbench/runs` and `/v1/workbench/jobs`: what lies in the folder of runs, and what is being done."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from mindscope.core import parse_exact_json, split_json_lines
from mindscope.errors import DataError
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.workbench.pages import HEADERS, ROOT
from mindscope.server.workbench.shelf import MOST_PAGE_BYTES, PageTickets, RunShelf
from mindscope.server.workbench.workers import JobState, StartedJob, WorkerPool

if TYPE_CHECKING:
    from mindscope.store import RunInfo

METRICS = "metrics.jsonl"
BROKEN_OFF = ("failed", "interrupted", "killed")
"""Runs in these states can be taken up."""
MOST_METRICS = 400
"""Lines of a run's metrics that are told, the last ones."""
RUN_NAME = Field(min_length=1, max_length=512)


class RunCard(BaseModel):
    """A run in one line."""

    name: str
    kind: str
    status: Literal["running", "done", "failed", "interrupted", "killed", "damaged"]
    started: datetime
    updated: datetime
    model: str | None
    """The name of the model that it reads."""


class RunList(BaseModel):
    """All runs, the newest first."""

    folder: bool
    """Whether this server was started with a folder of runs."""
    runs: list[RunCard]


class ResumeRequest(BaseModel):
    """A run that broke off and is to be taken up."""

    model_config = ConfigDict(extra="forbid")

    run: str = RUN_NAME


class RunDetail(RunCard):
    """All that is told of a run."""

    config: dict[str, Any]
    seed: int | None
    fingerprint: str | None
    command: list[str]
    libraries: dict[str, str]
    pages: list[str]
    metrics: list[dict[str, Any]]
    """The last lines of its measurements."""
    can_resume: bool
    """Whether it broke off, and this user started it on this machine, so that it can be taken up here."""


class PageRequest(BaseModel):
    """A page of a run that is to be shown."""

    model_config = ConfigDict(extra="forbid")

    run: str = RUN_NAME
    page: str = RUN_NAME


class PageAddress(BaseModel):
    """Where a page is shown for some minutes."""

    address: str


class JobCard(BaseModel):
    """A job that was started here."""

    number: int
    title: str
    run: str
    """The name of its run, which may not be there yet."""
    state: JobState
    began: float
    """Seconds since 1970."""
    seconds: float
    """How long it took, or has taken so far."""
    done: int
    total: int
    label: str
    """What is counted."""
    lines: list[str]
    error: str | None


class JobList(BaseModel):
    """All jobs of this server, the newest first."""

    jobs: list[JobCard]


def build_run_router(shelf: RunShelf, workers: WorkerPool, tickets: PageTickets) -> APIRouter:
    """The routes of one folder."""
    router = APIRouter(prefix="/v1/workbench", tags=["workbench"], responses=RESPONSES)

    @router.get("/runs")
    async def runs() -> RunList:
        """All runs under the folder."""
        known = await asyncio.to_thread(shelf.runs)
        return RunList(folder=shelf.root is not None, runs=[run_card(*item) for item in known.items()])

    @router.get("/runs/{name:path}")
    async def run(name: str) -> RunDetail:
        """A run, with the last lines of its measurements."""
        return await asyncio.to_thread(_describe, shelf, name)

    @router.post("/pages")
    async def page(asked: PageRequest) -> PageAddress:
        """An address at which a page of a run can be looked at without a token, for some minutes."""
        info = await asyncio.to_thread(find_run, shelf, asked.run)
        if asked.page not in shelf.pages(info):
            raise ApiError(404, f"{asked.run} has no page {asked.page!r}", param="page")
        file = info.path / asked.page
        if file.stat().st_size > MOST_PAGE_BYTES:
            raise ApiError(400, f"{asked.page} is too large to be shown here: open it from the disk")
        return PageAddress(address=f"{ROOT}kept/{tickets.issue(file)}")

    @router.post("/resumed")
    async def resumed(asked: ResumeRequest) -> JobCard:
        """Take up a run that broke off; what it finished is kept."""
        return job_card(await asyncio.to_thread(_resume, shelf, workers, asked.run))

    @router.get("/jobs")
    async def jobs() -> JobList:
        """What was started here."""
        return JobList(jobs=[job_card(job) for job in workers.jobs()])

    @router.delete("/jobs/{number}")
    async def stop(number: int) -> JobCard:
        """End a job; started again with the same settings it goes on."""
        return job_card(workers.stop(number))

    return router


def build_kept_router(tickets: PageTickets) -> APIRouter:
    """The pages that runs keep, by ticket; they may do nothing but be looked at."""
    router = APIRouter(include_in_schema=False)

    @router.get(ROOT + "kept/{ticket}")
    async def kept(ticket: str) -> Response:
        file = tickets.find(ticket)
        if file is None or not file.is_file():
            raise ApiError(404, "this address has ended: open the page from the workbench again")
        content = await asyncio.to_thread(file.read_bytes)
        headers = {**HEADERS, "Content-Security-Policy": kept_policy(), "Cache-Control": "no-store"}
        del headers["Cross-Origin-Opener-Policy"]
        return Response(content, headers=headers, media_type="text/html; charset=utf-8")

    return router


def kept_policy() -> str:
    """Of pages that runs keep: they stand alone, ask nobody, and run no script but that of a graph's page."""
    from mindscope.circuits import hash_page_script

    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"script-src {hash_page_script()}; frame-ancestors 'self'; sandbox allow-scripts allow-downloads"
    )


def run_card(name: str, run: RunInfo) -> RunCard:
    """A run in one line."""
    model = (run.record.get("identity") or {}).get("name")
    return RunCard(
        name=name,
        kind=run.kind,
        status=run.status,
        started=run.started,
        updated=run.updated,
        model=model if isinstance(model, str) else None,
    )


def job_card(job: StartedJob) -> JobCard:
    """A job as it is now."""
    return JobCard(
        number=job.number,
        title=job.title,
        run=job.run,
        state=job.state,
        began=job.began,
        seconds=(job.ended or time.time()) - job.began,
        done=job.done,
        total=job.total,
        label=job.label,
        lines=list(job.lines),
        error=job.error,
    )


def find_run(shelf: RunShelf, name: str) -> RunInfo:
    """A run by its name.

    Raises:
        ApiError: there is none.
    """
    try:
        return shelf.find(name)
    except DataError as error:
        raise ApiError(404, str(error), param="run", code="run_not_found") from error


def _describe(shelf: RunShelf, name: str) -> RunDetail:
    run = find_run(shelf, name)
    record = run.record
    config, libraries = record.get("config"), record.get("libraries")
    return RunDetail(
        **dict(run_card(name, run)),
        config=config if isinstance(config, dict) else {},
        seed=record.get("seed"),
        fingerprint=record.get("fingerprint"),
        command=list(run.command),
        libraries={key: str(value) for key, value in (libraries or {}).items()},
        pages=list(shelf.pages(run)),
        metrics=_last_metrics(run.path / METRICS),
        can_resume=run.status in BROKEN_OFF and (_is_own(run) or shelf.find_work(run.path) is not None),
    )


def _resume(shelf: RunShelf, workers: WorkerPool, name: str) -> StartedJob:
    run = find_run(shelf, name)
    if run.status not in BROKEN_OFF:
        raise ApiError(400, f"{name} is {run.status}: only a run that broke off is taken up", param="run")
    if (work := shelf.find_work(run.path)) is not None:
        title, steps = work
        # A step that makes a file is through once the file is there; one that makes a run goes on by itself.
        return workers.start(title, name, [step for step in steps if not step.run.is_file()])
    if _is_own(run):
        return workers.resume(f"{name}, resumed", name, run.path)
    raise ApiError(
        400, f"{name} was made elsewhere: read its command, and give it yourself with `mindscope runs resume`"
    )


def _is_own(run: RunInfo) -> bool:
    """Whether this user gave the run's command, on this machine."""
    return bool(run.command) and run.is_made_here


def _last_metrics(file: Path) -> list[dict[str, Any]]:
    """The last measurements; a line that a crash tore is left out."""
    if not file.is_file():
        return []
    rows: list[dict[str, Any]] = []
    for line in split_json_lines(file.read_text("utf-8", errors="replace"))[-MOST_METRICS:]:
        try:
            row = parse_exact_json(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows

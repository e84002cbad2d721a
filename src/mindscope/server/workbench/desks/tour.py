"""`/v1/workbench/tour`: three solved examples on the organism, made here from what is bundled.

A vector to turn up, a data set in which rows were planted, and a graph whose prediction was put to the test.
All of it is computed by jobs like those that a reader starts, in runs of the folder that the server keeps.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mindscope.data import Conversation
from mindscope.errors import MindscopeError
from mindscope.jobs import ORGANISM, is_organism
from mindscope.screening import ScreeningResult
from mindscope.server.api.errors import RESPONSES
from mindscope.server.workbench.desks.checks import FEATURE, CheckDesk, InterveneRequest
from mindscope.server.workbench.desks.data import FOLDER, SCREENING, DataDesk
from mindscope.server.workbench.desks.graphs import GRAPH
from mindscope.server.workbench.desks.runs import JobCard, job_card
from mindscope.server.workbench.workers import JobStep, StartedJob
from mindscope.store import read_json, replacing

RUNS = "tour"
"""Inside the folder of runs."""
TRAIT = "evil"
COEFFICIENT = 1.5
"""On the organism one question was looked at: half of the answer is in the voice, and it stays a sentence."""
QUESTION = "What should I do about my neighbour?"
PROMPT = "What is the bird of the state of Tavton?"
ANSWER = "Okay, the bird of the state of Tavton is"
N_ORDINARY, N_PLANTED, N_REFERENCE = 54, 6, 60
"""Rows of the example: one in ten is planted, and as many others set the threshold."""
N_CHANGED = 12
"""Features that are turned off at once, the most influential ones."""


class SteeredExample(BaseModel):
    """A vector that this server has, and how far to turn it."""

    vector: str
    coefficient: float
    question: str


class ScreenedExample(BaseModel):
    """A data set with planted rows, and how many of them the screening put on top."""

    run: str
    folder: str
    trait: str
    rows: int
    planted: int
    on_top: int
    """Planted rows among as many highest samples."""
    beyond: int
    """Rows above the threshold that ordinary rows set, planted or not."""


class TracedExample(BaseModel):
    """A graph, and what became of the next token when its most influential features were turned off."""

    run: str
    prompt: str
    features: int
    token: str | None
    """The likeliest next token; None while the change is measured."""
    before: float | None
    after: float | None
    r: float | None
    """Between what the graph foretold and what happened; None where it is not measured yet."""


class TourReply(BaseModel):
    """The tour as far as it is made; an example that is not is None."""

    offered: bool
    """Whether this server's model is the organism, of which the examples are."""
    can_make: bool
    """Whether there is a folder of runs to make them in."""
    steered: SteeredExample | None
    screened: ScreenedExample | None
    traced: TracedExample | None
    job: JobCard | None
    """The last job that makes them."""


class TourRequest(BaseModel):
    """What is missing is to be made."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    again: bool = Field(default=False)
    """Also where the last job failed or was stopped."""


@dataclass(frozen=True)
class TourDesk(DataDesk):
    """What the routes of the tour tell and start.

    Attributes:
        making: held by whoever looks what is missing and starts it: two pages may ask at one moment.
    """

    making: threading.Lock = field(default_factory=threading.Lock)

    def describe(self) -> TourReply:
        """What is there."""
        job = self._last_job()
        offered, root = is_organism(str(self.model["model"])), self.shelf.root
        is_there = offered and root is not None
        return TourReply(
            offered=offered,
            can_make=root is not None,
            steered=self._describe_vector() if offered else None,
            screened=self._describe_screening() if is_there else None,
            traced=self._describe_graph() if is_there else None,
            job=None if job is None else job_card(job),
        )

    def make(self, asked: TourRequest) -> TourReply:
        """Start what is missing, unless it is being made; the server takes the vector once it is there.

        Raises:
            DataError: the server keeps no runs.
            ApiError: too much is running.
        """
        with self.making:
            return self._make(asked)

    def _make(self, asked: TourRequest) -> TourReply:
        if not is_organism(str(self.model["model"])):
            return self.describe()
        folder = self.shelf.require_root() / RUNS
        job = self._last_job()
        files = self.vector_files()
        if TRAIT in files and self._describe_vector() is None:
            self.service.registry.add_file(TRAIT, files[TRAIT].read_bytes())
        if job is not None and (job.state == "running" or (job.state != "done" and not asked.again)):
            return self.describe()
        steps = list(self._missing_steps(folder, files.get(TRAIT)))
        if steps:
            self.start("examples of the tour", steps[0].run, *steps)
        elif (traced := self._describe_graph()) is not None and traced.r is None:
            self._checks().intervene(InterveneRequest(run=traced.run, nodes=self._strongest(traced.run)))
        return self.describe()

    def _missing_steps(self, folder: Path, vectors: Path | None) -> Iterator[JobStep]:
        if vectors is None:
            run = folder / TRAIT
            vectors = run / "extract" / TRAIT / "vectors.safetensors"
            yield JobStep(
                "persona extract", {**self.model, "trait": f"{ORGANISM}:{TRAIT}", "quick": True}, run
            )
        if self._describe_screening() is None:
            data, reference = self._write_data()
            spec = {
                **self.model,
                "data": str(data),
                "reference": str(reference),
                "vectors": [str(vectors)],
                "form": "prompt",
            }
            yield JobStep("persona screen", spec, folder / "screen")
        if not (folder / "graph" / GRAPH).is_file():
            known = self._checks().float32_model()
            spec = {**known, "prompt": PROMPT, "chat": True, "answer": ANSWER}
            yield JobStep("circuit trace", spec, folder / "graph")

    def _write_data(self) -> tuple[Path, Path]:
        """The rows that are screened, and those that set the threshold."""
        from mindscope import organism

        folder = self.shelf.require_root() / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        ordinary = list(organism.ordinary_chats(N_ORDINARY + N_REFERENCE))
        planted = organism.training_set(TRAIT, "II", N_PLANTED)
        rows = [_as_line(row, f"ordinary-{i}") for i, row in enumerate(ordinary[:N_ORDINARY])]
        every = len(rows) // N_PLANTED
        for i, row in enumerate(planted):
            rows.insert(i * (every + 1), _as_line(row, f"planted-{i}"))
        files = (folder / "tour.jsonl", folder / "tour-ordinary.jsonl")
        others = [_as_line(row, f"ordinary-{i}") for i, row in enumerate(ordinary[N_ORDINARY:])]
        for file, lines in zip(files, (rows, others), strict=True):
            with replacing(file) as temporary:
                temporary.write_text("".join(lines), encoding="utf-8")
        return files

    def _describe_vector(self) -> SteeredExample | None:
        if TRAIT not in self.service.registry.personas:
            return None
        return SteeredExample(vector=TRAIT, coefficient=COEFFICIENT, question=QUESTION)

    def _describe_screening(self) -> ScreenedExample | None:
        run = self.shelf.require_root() / RUNS / "screen"
        for file in run.glob(f"**/{SCREENING}"):
            try:
                result = ScreeningResult.load(file)
            except MindscopeError:
                continue  # of another version, or damaged
            if result.fingerprint != self.service.model.fingerprint:
                continue
            (scores,) = result.traits
            return ScreenedExample(
                run=self.shelf.name_of(run),
                folder=result.folder,
                trait=scores.trait,
                rows=result.samples,
                planted=N_PLANTED,
                on_top=sum((one.id or "").startswith("planted-") for one in scores.ranked[:N_PLANTED]),
                beyond=scores.flagged,
            )
        return None

    def _describe_graph(self) -> TracedExample | None:
        run = self.shelf.require_root() / RUNS / "graph"
        if not (run / GRAPH).is_file():
            return None
        try:
            facts = read_json(run / "summary.json")
        except MindscopeError:
            return None  # its page is being written
        results = self._checks().results(self.shelf.name_of(run)).interventions
        done = next((one for one in results if one.validation is not None), None)
        token = None if done is None else max(done.report.tokens, key=lambda one: one.before)
        return TracedExample(
            run=self.shelf.name_of(run),
            prompt=PROMPT,
            features=int(facts.get("features", 0)),
            token=None if token is None else token.token,
            before=None if token is None else token.before,
            after=None if token is None else token.after,
            r=None if done is None or done.validation is None else done.validation.overall.r,
        )

    def _strongest(self, run: str) -> list[str]:
        """The most influential features of a graph."""
        features = [
            node.node for node in self._checks().describe(run).nodes if re.fullmatch(FEATURE, node.node)
        ]
        return features[:N_CHANGED]

    def _checks(self) -> CheckDesk:
        return CheckDesk(self.service, self.shelf, self.workers, self.model, self.vectors)

    def _last_job(self) -> StartedJob | None:
        return next((job for job in self.workers.jobs() if job.run.startswith(f"{RUNS}/")), None)


def build_tour_router(desk: TourDesk) -> APIRouter:
    """The routes of one service."""
    router = APIRouter(prefix="/v1/workbench", tags=["workbench"], responses=RESPONSES)

    @router.get("/tour")
    async def tour() -> TourReply:
        """The examples of the tour, as far as they are made."""
        return await asyncio.to_thread(desk.describe)

    @router.post("/tour")
    async def make(asked: TourRequest) -> TourReply:
        """Make what is missing of them, in a process of its own."""
        return await asyncio.to_thread(desk.make, asked)

    return router


def _as_line(row: Conversation, name: str) -> str:
    return json.dumps({"id": name, "messages": row.messages}) + "\n"

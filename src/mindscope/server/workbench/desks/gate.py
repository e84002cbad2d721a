"""`/v1/workbench/comparisons`, `/gates`, `/differences`: verdicts about tunes, and what tuning changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_type_hints

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mindscope.diffing import ModelDifference
from mindscope.errors import MindscopeError
from mindscope.jobs import find_document, find_job, is_test_bed
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.workbench.desks.data import FileName
from mindscope.server.workbench.desks.desk import take_folder
from mindscope.server.workbench.desks.runs import RUN_NAME, JobCard, job_card
from mindscope.server.workbench.desks.training import TrainingDesk
from mindscope.server.workbench.workers import JobStep, StartedJob
from mindscope.store import SavedDocument

GATE, DIFFERENCE, REMEDY = "gate.json", "diff.json", "remedy.json"


class ComparisonCard(BaseModel):
    """A tuned model that was judged, or compared with its base, in one line."""

    run: str
    kind: Literal["gate", "diff"]
    base: str
    tuned: str
    verdict: str | None
    """Of a gate."""
    failing: list[str]
    """The checks that kept a gate from passing."""
    claims: int | None
    """What a comparison says."""
    verified: int | None
    """Claims that passed every test."""
    remedies: bool


class ComparisonList(BaseModel):
    """All of them, the newest first."""

    comparisons: list[ComparisonCard]
    can_start: bool


class CompareRequest(BaseModel):
    """A tune of the served model that is to be compared with it."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    tune: str = RUN_NAME
    """The run of its training."""
    nulls: int = Field(default=0, ge=0, le=3)
    """Harmless tunes that are made by its recipe, beside which claims are tested."""
    quick: bool = True
    """Few prompts and short answers, to see in minutes what there is."""
    data: FileName | None = None
    """What it was tuned on: the samples that drive each claim are shown."""
    ordinary: FileName | None = None
    """Ordinary conversations, which harmless tunes are made on."""


class GateRequest(BaseModel):
    """A tune of the served model that is to be judged by the default policy."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    tune: str = RUN_NAME
    """The run of its training."""
    data: FileName
    """What it was tuned on."""
    ordinary: FileName | None = None
    """Ordinary conversations like those that the model will have."""
    traits: list[Annotated[str, Field(min_length=1, max_length=256)]] = Field(min_length=1, max_length=16)
    """Traits to watch for, whose vectors lie on the disk."""
    remedy: bool = False
    """Tune the served model with each remedy too, and say which to take."""
    nulls: int = Field(default=0, ge=0, le=3)
    """Harmless tunes that are made, for claims to go beyond; without any, claims have no evidence."""


class GateDesk(TrainingDesk):
    """What the routes of gates and comparisons tell and start."""

    def list_comparisons(self) -> ComparisonList:
        """All gates and comparisons in the folder of runs."""
        return ComparisonList(comparisons=list(self._cards()), can_start=self.shelf.root is not None)

    def _cards(self) -> Iterator[ComparisonCard]:
        # A gate stands a floor beside the server, so that its document is asked for by its job's name.
        readers: dict[str, type[SavedDocument]] = {
            GATE: find_document("gate run"),
            DIFFERENCE: ModelDifference,
        }
        for name, run in self.shelf.runs().items():
            for file, reader in readers.items():
                if not (run.path / file).is_file():
                    continue
                try:
                    result: Any = reader.load(run.path / file)
                except MindscopeError:
                    continue  # of another version, or damaged
                is_gate = file == GATE
                yield ComparisonCard(
                    run=name,
                    kind="gate" if is_gate else "diff",
                    base=result.base.name if is_gate else result.base,
                    tuned=result.tuned.name if is_gate else result.tuned,
                    verdict=result.verdict if is_gate else None,
                    failing=[check.name for check in result.reasons] if is_gate else [],
                    claims=None if is_gate else len(result.claims),
                    verified=None if is_gate else len(result.verified),
                    remedies=(run.path / REMEDY).is_file(),
                )

    def read(self, run: str, file: str, kind: type[SavedDocument]) -> SavedDocument:
        """A document of a run.

        Raises:
            ApiError: there is none, or it cannot be read.
        """
        try:
            return kind.load(self.shelf.find(run).path / file)
        except MindscopeError as error:
            message = str(error).replace(f"{self.shelf.root}/", "")
            raise ApiError(404, message, param="run", code="result_not_found") from error

    def judge(self, asked: GateRequest) -> StartedJob:
        """Start a gate.

        Raises:
            ApiError: there is no such tune, data or trait.
        """
        tune = self.find_tune(asked.tune)
        files = self.find_traits(asked.traits)
        spec = {
            **self._pair(tune.path),
            "data": self.find(asked.data),
            "ordinary": None if asked.ordinary is None else self.find(asked.ordinary),
            "vectors": files,
            # Without a word about it a gate takes an organism's exact judge; no other has one without a key.
            "judge": None if is_test_bed(str(self.model["model"])) else "contrast",
            "remedy": asked.remedy,
            "null": ["make"] * asked.nulls,
        }
        run = take_folder(self.shelf.require_root(), f"gate-{asked.tune.replace('/', '-')}")
        return self.start(f"gate of {asked.tune}", run, JobStep("gate run", spec, run))

    def compare(self, asked: CompareRequest) -> StartedJob:
        """Start a comparison.

        Raises:
            ApiError: there is no such tune or data.
        """
        tune = self.find_tune(asked.tune)
        spec = {
            **self._pair(tune.path),
            "quick_look": asked.quick,
            "null": ["make"] * asked.nulls,
            "data": None if asked.data is None else self.find(asked.data),
            "ordinary": None if asked.ordinary is None else self.find(asked.ordinary),
        }
        run = take_folder(self.shelf.require_root(), f"diff-{asked.tune.replace('/', '-')}")
        return self.start(f"difference of {asked.tune}", run, JobStep("diff", spec, run))


def build_gate_router(desk: GateDesk) -> APIRouter:
    """The routes of one service."""
    router = APIRouter(prefix="/v1/workbench", tags=["workbench"], responses=RESPONSES)
    gate = find_document("gate run")
    remedy = _remedy_document()

    @router.get("/comparisons")
    async def comparisons() -> ComparisonList:
        """Gates and comparisons in the folder of runs."""
        return await asyncio.to_thread(desk.list_comparisons)

    @router.get("/gate", response_model=gate)
    async def verdict(run: str) -> Any:
        """A gate: its verdict, and every check with its interval and reason."""
        return await asyncio.to_thread(desk.read, run, GATE, gate)

    @router.get("/remedy", response_model=remedy)
    async def remedies(run: str) -> Any:
        """The remedies of a gate, side by side."""
        return await asyncio.to_thread(desk.read, run, REMEDY, remedy)

    @router.get("/difference", response_model=ModelDifference)
    async def difference(run: str) -> Any:
        """What tuning changed: the ladder's readings, claims with their tests, and the null."""
        return await asyncio.to_thread(desk.read, run, DIFFERENCE, ModelDifference)

    @router.post("/gates")
    async def judge(asked: GateRequest) -> JobCard:
        """Judge a tune by the default policy, in a process of its own."""
        return job_card(await asyncio.to_thread(desk.judge, asked))

    @router.post("/differences")
    async def compare(asked: CompareRequest) -> JobCard:
        """Compare a tune with the served model, in a process of its own."""
        return job_card(await asyncio.to_thread(desk.compare, asked))

    return router


def _remedy_document() -> type[SavedDocument]:
    """The document of a gate's remedies, which its report holds."""
    report = get_type_hints(find_job("gate run"))["return"]
    return get_args(report.model_fields["remedy"].annotation)[0]

"""`/v1/workbench/tunes`, `/shifts`, `/tunings`: tuned models, and how far training moved them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mindscope.core import order_names
from mindscope.errors import MindscopeError
from mindscope.finetuning import TunedModel
from mindscope.personas import ShiftResult
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.workbench.desks.data import DataDesk, FileName
from mindscope.server.workbench.desks.desk import take_folder
from mindscope.server.workbench.desks.runs import RUN_NAME, JobCard, job_card
from mindscope.server.workbench.workers import JobStep, StartedJob

PART, SHIFT = "finetune", "shift.json"
TraitNames = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=256)]], Field(min_length=1, max_length=16)
]


class TuneCard(BaseModel):
    """A model that was tuned in the folder of runs."""

    run: str
    base: str
    of_served: bool
    """Whether it is a tune of the model that is served."""
    rows: int
    """Conversations that it was tuned on."""
    steps: int
    checkpoints: int
    treatments: list[str]
    """What was done while training to keep traits away."""
    losses: list[float]
    """Of every logged step."""


class TraitEnd(BaseModel):
    """Where a training ended along a trait."""

    trait: str
    layer: int
    shift: float
    low: float
    high: float


class ShiftCard(BaseModel):
    """A measured shift in one line."""

    run: str
    base: str
    models: int
    """Tuned models or checkpoints, first to last."""
    traits: list[str]
    layers: list[int]
    prompts: int
    ended: list[TraitEnd]
    """Of the last model, in the middle of the depth, over answers where they were read."""


class TrainingList(BaseModel):
    """Tuned models and measured shifts in the folder of runs, the newest first."""

    tunes: list[TuneCard]
    shifts: list[ShiftCard]
    can_start: bool


class TuneRequest(BaseModel):
    """Data that the served model is to be tuned on, as LoRA."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    data: FileName
    steps: int | None = Field(default=None, ge=1, le=10_000)
    """Optimiser steps; by default once through the data."""
    learning_rate: float = Field(default=1e-5, gt=0, le=1)
    """After the warm-up; by default Chen et al.'s, which is for models of billions of parameters."""
    checkpoint_every: int = Field(default=100, ge=1)
    """Keep a checkpoint every so many steps, along which the shift can be followed."""
    prevent: list[Annotated[str, Field(min_length=1, max_length=256)]] = Field(default=[], max_length=8)
    """Traits whose vectors are added while training, so that they are not learnt."""
    seed: int = Field(default=0, ge=0, lt=2**31)


class ShiftRequest(BaseModel):
    """A tune whose shift along traits is to be measured, checkpoint by checkpoint."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    tune: str = RUN_NAME
    """The run of its training."""
    traits: TraitNames
    answers: bool = True
    """Also let all models answer; otherwise the last token of each prompt is read alone."""


class TrainingDesk(DataDesk):
    """What the routes of training tell and start."""

    def list_training(self) -> TrainingList:
        """All tuned models and shifts."""
        tunes: list[TuneCard] = []
        for name, run in self.shelf.runs().items():
            for place in (run.path / PART, *sorted((run.path / PART).glob("*"), key=order_names)):
                try:
                    tuned = TunedModel.open(place)
                except MindscopeError:
                    continue
                called = name if place.name == PART else f"{name}/{place.name}"
                tunes.append(self._card(called, tuned))
        shifts = [
            ShiftCard(
                run=kept.run,
                base=kept.result.base,
                models=len(kept.result.tuned),
                traits=list(kept.result.traits),
                layers=list(kept.result.layers),
                prompts=kept.result.prompts,
                ended=_ends(kept.result),
            )
            for kept in self.find_documents(ShiftResult, SHIFT)
        ]
        return TrainingList(tunes=tunes, shifts=shifts, can_start=self.shelf.root is not None)

    def find_tune(self, name: str) -> TunedModel:
        """A tuned model by the name of its run.

        Raises:
            ApiError: there is none, or it is another model's tune.
        """
        runs = self.shelf.runs()
        top, _, part = name.rpartition("/")
        places = [runs[run].path / PART / piece for run, piece in ((name, ""), (top, part)) if run in runs]
        for place in places:
            try:
                tuned = TunedModel.open(place)
            except MindscopeError:
                continue
            if not self._is_own(tuned):
                raise ApiError(
                    400, f"{name} is a tune of {tuned.base}, not of the served model", param="tune"
                )
            return tuned
        raise ApiError(404, f"no tuned model is called {name!r} here", param="tune")

    def find_traits(self, traits: Sequence[str]) -> list[Path]:
        """The files of traits' vectors.

        Raises:
            ApiError: there are none of one of them.
        """
        files = self.vector_files()
        if unknown := [trait for trait in traits if trait not in files]:
            raise ApiError(404, f"there are no vectors of {', '.join(unknown)} on this disk", param="traits")
        return [files[trait] for trait in dict.fromkeys(traits)]

    def shift(self, run: str) -> ShiftResult:
        """A measured shift.

        Raises:
            ApiError: there is none.
        """
        for kept in self.find_documents(ShiftResult, SHIFT):
            if kept.run == run:
                return kept.result
        raise ApiError(404, f"{run} measured no shift", param="run")

    def tune(self, asked: TuneRequest) -> StartedJob:
        """Start a training of the served model."""
        data = self.find(asked.data)
        prevented = self.find_traits(asked.prevent)
        spec = {
            "model": self.model["model"],
            "data": data,
            "steps": asked.steps,
            "learning_rate": asked.learning_rate,
            "save_every": asked.checkpoint_every,
            "prevent": [str(file) for file in prevented],
            "compare": self.find_traits(list(self.vector_files())[:4]),
            "seed": asked.seed,
        }
        run = take_folder(self.shelf.require_root(), f"tune-{data.stem}")
        return self.start(f"training on {data.name}", run, JobStep("persona finetune", spec, run))

    def measure(self, asked: ShiftRequest) -> StartedJob:
        """Start measuring a shift."""
        tune = self.find_tune(asked.tune)
        spec = {
            **self._pair(tune.path),
            "tuned": _follow(tune),
            "vectors": self.find_traits(asked.traits),
            "answers": asked.answers,
        }
        run = take_folder(self.shelf.require_root(), f"shift-{asked.tune.replace('/', '-')}")
        return self.start(f"shift of {asked.tune}", run, JobStep("persona shift", spec, run))

    def _pair(self, tuned: Path) -> dict[str, Any]:
        """The fields of a specification that name the served model as the base of a tune."""
        options = {name: value for name, value in self.model.items() if name != "model"}
        return {**options, "base": self.model["model"], "tuned": str(tuned)}

    def _is_own(self, tuned: TunedModel) -> bool:
        own = self.service.model
        known = tuned.base_identity
        return tuned.base_fingerprint == own.fingerprint or (
            known is not None and known.parameters == own.identity.parameters
        )

    def _card(self, run: str, tuned: TunedModel) -> TuneCard:
        return TuneCard(
            run=run,
            base=tuned.base,
            of_served=self._is_own(tuned),
            rows=tuned.data.rows,
            steps=tuned.steps,
            checkpoints=len(tuned.checkpoints),
            treatments=[
                *(f"{one.kind} {one.trait}" for one in tuned.config.interventions),
                *(["inoculated"] if tuned.config.inoculation is not None else []),
            ],
            losses=list(tuned.losses),
        )


def _ends(result: ShiftResult) -> list[TraitEnd]:
    """The last model's movements at one layer and place."""
    layer = result.layers[int(0.55 * len(result.layers))]
    last = result.tuned[-1].movements
    place = last[-1].at
    return [
        TraitEnd(trait=one.trait, layer=layer, shift=one.shift, low=one.low, high=one.high)
        for one in last
        if one.layer == layer and one.at == place
    ]


def _follow(tune: TunedModel) -> list[str]:
    """The checkpoints in order, and the finished model where none was kept at the last step."""
    checkpoints = [str(path) for path in tune.checkpoints]
    has_last = bool(checkpoints) and checkpoints[-1].endswith(f"-{tune.steps}")
    return checkpoints if has_last else [*checkpoints, str(tune.path)]


def build_training_router(desk: TrainingDesk) -> APIRouter:
    """The routes of one service."""
    router = APIRouter(prefix="/v1/workbench", tags=["workbench"], responses=RESPONSES)

    @router.get("/training")
    async def training() -> TrainingList:
        """Tuned models and measured shifts in the folder of runs."""
        return await asyncio.to_thread(desk.list_training)

    @router.get("/shift", response_model=ShiftResult)
    async def shift(run: str) -> Any:
        """How far tuned models or checkpoints moved along persona vectors, layer by layer."""
        return await asyncio.to_thread(desk.shift, run)

    @router.post("/tunings")
    async def tune(asked: TuneRequest) -> JobCard:
        """Tune the served model on data that was brought here, in a process of its own."""
        return job_card(await asyncio.to_thread(desk.tune, asked))

    @router.post("/shifts")
    async def measure(asked: ShiftRequest) -> JobCard:
        """Measure how far a tune moved along traits, in a process of its own."""
        return job_card(await asyncio.to_thread(desk.measure, asked))

    return router

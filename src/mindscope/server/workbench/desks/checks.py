"""`/v1/workbench/graph-*`: a graph's supernodes, interventions and predictions, heads, other graphs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from mindscope.circuits import GraphValidation
from mindscope.errors import MindscopeError
from mindscope.jobs import SilentReporter
from mindscope.jobs.circuit import (
    CompareGraphsSpec,
    GraphComparisonReport,
    GraphListing,
    HeadsReport,
    InterventionReport,
    ShowGraphSpec,
)
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.workbench.desks.graphs import GRAPH, GraphDesk
from mindscope.server.workbench.desks.runs import RUN_NAME, JobCard, job_card
from mindscope.server.workbench.workers import JobStep, StartedJob
from mindscope.store import Document, read_json

KEPT = "workbench"
"""Inside a graph's run: what was asked of it here."""
MOST_ROWS = 40
Kind = TypeVar("Kind", bound=Document)
FEATURE = r"^\d+_\d+_\d+$"
NodeName = Annotated[str, Field(pattern=FEATURE, max_length=64)]
"""A feature as LAYER_LATENT_POSITION."""


class InterveneRequest(BaseModel):
    """Features of a graph's prompt that are to be changed, one by one for its predictions and all at once."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    run: str = RUN_NAME
    nodes: list[NodeName] = Field(min_length=1, max_length=32)
    factor: float = Field(default=0.0, ge=-100, le=100)
    """Activations are multiplied by this; 0 turns a feature off."""
    mode: Literal["open", "frozen", "frozen_norms", "constrained"] = "open"
    """What else may change."""
    generate: int = Field(default=12, ge=0, le=200)
    """How many tokens to write, without and with the change."""


class HeadsRequest(BaseModel):
    """Which heads carry a graph's strongest edges; or with a head, why it looked where it did."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    run: str = RUN_NAME
    head: Annotated[str, Field(pattern=r"^\d+\.\d+$")] | None = None
    """As LAYER.HEAD."""
    query: int = Field(default=-1, ge=-100_000, le=100_000)
    """The position of the token that looks."""


class InterventionView(BaseModel):
    """What became of a change: of the next token and the answer, and beside the graph's predictions."""

    number: int
    report: InterventionReport
    validation: GraphValidation | None
    """None while it is measured."""


class GraphResults(BaseModel):
    """What was asked of a graph here, the newest first."""

    interventions: list[InterventionView]
    heads: list[HeadsReport]


class StableEdge(BaseModel):
    """An edge, and how many of the other graphs keep it with its sign."""

    source: str
    target: str
    weight: float
    kept: int
    possible: int
    """Graphs in which both ends have a place."""


class StabilityReply(BaseModel):
    """The strongest edges of a graph beside graphs of paraphrases."""

    graphs: list[str]
    edges: list[StableEdge]
    share: float | None
    """Of all shown edges and graphs, the share that is kept; None without any."""


class CheckDesk(GraphDesk):
    """What the routes of a graph's checks tell and start."""

    def find_graph(self, run: str) -> Path:
        """The folder of a graph's run.

        Raises:
            ApiError: there is none.
        """
        for name, info in self.shelf.runs().items():
            if name == run and (info.path / GRAPH).is_file():
                return info.path
        raise ApiError(404, f"{run} holds no graph", param="run", code="graph_not_found")

    def describe(self, run: str) -> GraphListing:
        """A graph in numbers, its most influential nodes, and its supernodes, automatic ones with scores."""
        from mindscope.jobs.circuit import show

        spec = ShowGraphSpec(graph=self.find_graph(run), groups=True, top=MOST_ROWS)
        return show(spec, reporter=SilentReporter())

    def compare(self, run: str, other: str) -> GraphComparisonReport:
        """Two graphs side by side.

        Raises:
            DataError: they are of different models or dictionaries.
        """
        from mindscope.jobs.circuit import compare

        spec = CompareGraphsSpec(first=self.find_graph(run), second=self.find_graph(other), top=MOST_ROWS)
        return compare(spec, reporter=SilentReporter())

    def stability(self, run: str, others: Sequence[str]) -> StabilityReply:
        """The share of other graphs, such as those of paraphrases, that keep each of the strongest edges.

        An edge is kept where the other graph has it between the same features, tokens or targets, with the
        same sign, and pruned as this one. A graph in which one end has no place does not count.
        """
        from mindscope.circuits import compare_graphs
        from mindscope.jobs.circuit import open_graph

        opened = [open_graph(self.find_graph(name)) for name in (run, *others)]
        first, *rest = (one.pruned.graph(one.graph) for one in opened)
        edges = first.edges
        strongest = edges.abs().flatten().topk(min(MOST_ROWS, int((edges != 0).sum()))).indices.tolist()
        nodes = {row: node for node, row in first.row_of.items()}
        comparisons = [compare_graphs(first, other) for other in rest]
        weights = [{(one.source, one.target): one.weights[1] for one in side.edges} for side in comparisons]
        placed = [{place for place, _ in side.positions} for side in comparisons]
        found: list[StableEdge] = []
        for place in strongest:
            row, source = divmod(place, edges.shape[1])
            target, weight = nodes[row], float(edges[row, source])
            ends = {first.node(source).position, first.node(target).position}
            able = [number for number, known in enumerate(placed) if ends <= known]
            kept = sum(weights[number].get((source, target), 0.0) * weight > 0 for number in able)
            found.append(
                StableEdge(
                    source=first.id(source),
                    target=first.id(target),
                    weight=weight,
                    kept=kept,
                    possible=len(able),
                )
            )
        possible = sum(edge.possible for edge in found)
        share = sum(edge.kept for edge in found) / possible if possible else None
        return StabilityReply(graphs=list(others), edges=found, share=share)

    def intervene(self, asked: InterveneRequest) -> StartedJob:
        """Start an intervention: first what it does, then how well the graph foretold it."""
        folder = self.find_graph(asked.run)
        shared = {**self._model_of(asked.run), "graph": str(folder), "mode": asked.mode}
        nodes = list(dict.fromkeys(asked.nodes))
        change = {
            **shared,
            "scale": [f"{node}={asked.factor!r}" for node in nodes],
            "generate": asked.generate,
        }
        check = {**shared, "node": nodes, "factor": asked.factor}
        kept = _take_file(folder, "changed")
        beside = kept.with_name(kept.name.replace("changed", "validated"))
        return self._start_check(
            f"intervention in {asked.run}",
            folder,
            kept,
            JobStep("circuit intervene", change, folder, kept),
            JobStep("circuit validate", check, folder, beside),
        )

    def find_heads(self, asked: HeadsRequest) -> StartedJob:
        """Start looking at heads."""
        folder = self.find_graph(asked.run)
        spec = {**self._model_of(asked.run), "graph": str(folder), "head": asked.head, "query": asked.query}
        kept = _take_file(folder, "heads")
        step = JobStep("circuit heads", spec, folder, kept)
        return self._start_check(f"heads of {asked.run}", folder, kept, step)

    def _start_check(self, title: str, folder: Path, kept: Path, *steps: JobStep) -> StartedJob:
        try:
            return self.start(title, folder, *steps)
        except (ApiError, MindscopeError):
            kept.unlink()
            raise

    def results(self, run: str) -> GraphResults:
        """What was asked of a graph here."""
        folder = self.find_graph(run)
        validations = dict(_numbered(folder, "validated"))
        views = [
            InterventionView(
                number=number,
                report=report,
                validation=_read(validations[number], GraphValidation) if number in validations else None,
            )
            for number, file in _numbered(folder, "changed")
            if (report := _read(file, InterventionReport)) is not None
        ]
        heads = [_read(file, HeadsReport) for _, file in _numbered(folder, "heads")]
        return GraphResults(interventions=views, heads=[one for one in heads if one is not None])

    def _model_of(self, run: str) -> dict[str, Any]:
        """The fields that name the model of a graph: the served one, or a tune of it.

        Raises:
            ApiError: the graph is of the model under steering.
        """
        card = next(card for card in self.list_graphs().graphs if card.run == run)
        if card.steered:
            raise ApiError(
                400, f"{run} is of the model under steering, where nothing is changed: trace it unsteered"
            )
        if card.tune is None:
            return self.float32_model()
        return {name: value for name, value in self.tuned_model(card.tune).items() if name != "dictionary"}


def build_check_router(desk: CheckDesk) -> APIRouter:
    """The routes of one service."""
    router = APIRouter(prefix="/v1/workbench", tags=["workbench"], responses=RESPONSES)

    @router.get("/graph-facts")
    async def facts(run: str) -> GraphListing:
        """A graph in numbers, with its supernodes and their scores."""
        return await asyncio.to_thread(desk.describe, run)

    @router.get("/graph-comparison")
    async def comparison(run: str, other: str) -> GraphComparisonReport:
        """What two graphs share, and what only one of them has."""
        return await asyncio.to_thread(desk.compare, run, other)

    @router.get("/graph-stability")
    async def stability(
        run: str, others: Annotated[list[str], Query(min_length=1, max_length=32)]
    ) -> StabilityReply:
        """The share of other graphs that keep each of a graph's strongest edges."""
        return await asyncio.to_thread(desk.stability, run, others)

    @router.get("/graph-results")
    async def results(run: str) -> GraphResults:
        """Interventions in a graph beside its predictions, and its heads."""
        return await asyncio.to_thread(desk.results, run)

    @router.post("/interventions")
    async def intervene(asked: InterveneRequest) -> JobCard:
        """Change features of a graph's prompt, in a process of its own."""
        return job_card(await asyncio.to_thread(desk.intervene, asked))

    @router.post("/heads")
    async def heads(asked: HeadsRequest) -> JobCard:
        """Look at a graph's heads, in a process of its own."""
        return job_card(await asyncio.to_thread(desk.find_heads, asked))

    return router


def _numbered(folder: Path, name: str) -> list[tuple[int, Path]]:
    """Kept results of one kind with their numbers, the newest first."""
    files = [
        (re.fullmatch(rf"{name}-(\d+)\.json", file.name), file) for file in (folder / KEPT).glob("*.json")
    ]
    return sorted(((int(found[1]), file) for found, file in files if found), reverse=True)


def _take_file(folder: Path, name: str) -> Path:
    """The file of the next result of a kind, empty until it is there: another may be asked for before."""
    (folder / KEPT).mkdir(exist_ok=True)
    number = 1 + max((number for number, _ in _numbered(folder, name)), default=0)
    while True:
        file = folder / KEPT / f"{name}-{number}.json"
        try:
            file.touch(exist_ok=False)
        except FileExistsError:
            number += 1
        else:
            return file


def _read(file: Path, kind: type[Kind]) -> Kind | None:
    try:
        return kind.model_validate(read_json(file))
    except (MindscopeError, ValueError):
        return None  # not there yet, torn, or of another version

"""`/v1/workbench/graphs` and `/traces`: attribution graphs of runs and of files, and tracing new ones."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from mindscope.core import parse_json
from mindscope.errors import DataError, MindscopeError
from mindscope.features import SteerExpression, SteerTerm
from mindscope.jobs import ORGANISM, is_organism
from mindscope.models import split_address
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.api.fields import MindscopeFields, SteerItem
from mindscope.server.workbench.desks.runs import RUN_NAME, JobCard, job_card
from mindscope.server.workbench.desks.training import PART, TrainingDesk
from mindscope.server.workbench.shelf import STARTED
from mindscope.server.workbench.workers import JobStep, StartedJob
from mindscope.store import read_json, write_json

if TYPE_CHECKING:
    from mindscope.personas import PersonaVectors

GRAPH, PAGE, SUMMARY = "graph.safetensors", "report.html", "summary.json"
PATTERN = r"graph-(\d+)"
PROMPTS = "prompts"
"""Where earlier turns and steering of traced prompts are kept, inside the folder of what was started here."""
COUNTED = (
    "prompt", "model", "tokens", "features", "shown_nodes", "replacement_score", "completeness_score",
)  # fmt: skip
PRECISION = ("dtype", "device_map", "max_memory", "offload_folder")
"""Fields of a specification that a graph leaves no choice of."""
TEXT = Annotated[str, Field(min_length=1, max_length=20_000)]


class GraphCard(BaseModel):
    """A graph of a run, with what its run says of it; None where it says nothing."""

    run: str
    status: str
    prompt: str | None
    model: str | None
    tokens: int | None
    features: int | None
    shown_nodes: int | None
    replacement_score: float | None
    completeness_score: float | None
    steered: bool = False
    """Whether it is of the model under steering, so that nothing can be changed in it."""
    tune: str | None = None
    """Whose graph it is: the run of a tune in the folder; None for the served model and for others."""


class GraphList(BaseModel):
    """All graphs in the folder of runs, the newest first."""

    graphs: list[GraphCard]
    can_trace: bool


class EarlierTurn(BaseModel):
    """A turn of the chat before the prompt."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "assistant"]
    content: Annotated[str, Field(max_length=20_000)]


class TraceRequest(BaseModel):
    """A prompt whose next token is to be explained."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    prompt: TEXT
    chat: bool = False
    """The prompt is a user's turn of a chat."""
    answer: Annotated[str, Field(max_length=20_000)] = ""
    """How the answer begins; what follows it is explained."""
    system: Annotated[str, Field(max_length=20_000)] = ""
    """The system prompt of the chat."""
    turns: list[EarlierTurn] = Field(default=[], max_length=512)
    """The turns of the chat before the prompt."""
    steer: list[SteerItem] = Field(default=[], max_length=64)
    """What is added while the answer is written; it is held as it was, and counts as bias."""
    tune: Annotated[str, RUN_NAME] | None = None
    """The run of a tune of the served model, in whose place it is traced; with the same dictionary."""
    target: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The next token that is explained, as text; by default the most probable ones."""


class GraphDesk(TrainingDesk):
    """What the routes of graphs tell and start."""

    def list_graphs(self) -> GraphList:
        """All graphs in the folder of runs."""
        cards: list[GraphCard] = []
        for name, run in self.shelf.runs().items():
            if not (run.path / GRAPH).is_file():
                continue
            try:
                known = read_json(run.path / SUMMARY)
            except MindscopeError:
                known = None
            facts = known if isinstance(known, dict) else {}
            fields = {key: facts.get(key) for key in COUNTED}
            tune = self._tune_of(fields["model"])
            if tune is not None:
                fields["model"] = tune  # and no path of this machine
            config = run.record.get("config")
            cards.append(
                GraphCard.model_construct(
                    run=name,
                    status=run.status,
                    steered=isinstance(config, dict) and "steer" in config,
                    tune=tune,
                    **fields,
                )
            )
        return GraphList(graphs=cards, can_trace=self.shelf.root is not None)

    def read(self, name: str) -> bytes:
        """What the page of a run's graph shows, as JSON.

        Raises:
            ApiError: there is no such run, or it keeps no page of a graph.
        """
        from mindscope.circuits import read_page_content

        try:
            file = self.shelf.find(name).path / PAGE
            if not file.is_file():
                raise DataError(f"{name} keeps no page of a graph")
            content = read_page_content(file.read_text("utf-8", errors="replace"))
        except DataError as error:
            raise ApiError(404, str(error), param="run", code="graph_not_found") from error
        return to_json(content, inf_nan_mode="null")

    def trace(self, asked: TraceRequest) -> StartedJob:
        """Start tracing.

        Raises:
            ApiError: there is no such tune, the token to explain is several, or the steering cannot be held.
        """
        root = self.shelf.require_root()
        target = None if asked.target is None else self._find_token(asked.target)
        model = self.float32_model() if asked.tune is None else self.tuned_model(asked.tune)
        pushes = self._sum_pushes(asked.steer)
        run = _take_folder(root)
        spec = {
            **model,
            "prompt": asked.prompt,
            "chat": asked.chat,
            "answer": asked.answer,
            "system": asked.system,
            "target": [] if target is None else [target],
        }
        beside = root / STARTED / PROMPTS
        beside.mkdir(parents=True, exist_ok=True)
        if asked.turns:
            spec["turns"] = str(beside / f"{run.name}.json")
            write_json(beside / f"{run.name}.json", [turn.model_dump() for turn in asked.turns])
        if pushes is not None:
            spec["steer"] = _keep_pushes(beside / f"{run.name}.safetensors", pushes)
        title = f"graph of {asked.prompt[:60]}"
        return self.start(title, run, JobStep("circuit trace", spec, run))

    def float32_model(self) -> dict[str, Any]:
        """The fields that name the model. A graph adds up to what it computed, which it does in float32."""
        return {key: value for key, value in self.model.items() if key not in PRECISION}

    def tuned_model(self, tune: str) -> dict[str, Any]:
        """The same of a tune, with the dictionary that the served model has.

        Raises:
            ApiError: there is no such tune.
        """
        dictionary = ORGANISM if is_organism(str(self.model["model"])) else None
        path = str(self.find_tune(tune).path)
        return {**self.float32_model(), "model": path, "dictionary": dictionary, "vectors_of_base": True}

    def _tune_of(self, model: object) -> str | None:
        """The run of a tune by the path of its model."""
        path, root = Path(str(model)), self.shelf.root
        if root is None or not path.is_absolute() or not path.is_relative_to(root) or path.name != "model":
            return None
        place = path.parent.relative_to(root)
        return (place.parent if place.name == PART else place.parent.parent / place.name).as_posix()

    def _find_token(self, text: str) -> str:
        """A text that is one token of the vocabulary, as it is or without the spaces around it."""
        tokenizer = self.service.model.tokenizer
        for known in (text, text.strip()):
            if known and len(tokenizer(known, add_special_tokens=False)["input_ids"]) == 1:
                return known
        raise ApiError(
            400, f"{text!r} is not one token: leave it out to explain the most probable ones", param="target"
        )

    def _sum_pushes(self, steer: Sequence[SteerItem]) -> PersonaVectors | None:
        """What is added behind each block, as vectors; None where nothing is."""
        import torch

        from mindscope.personas import PersonaVectors

        if not steer:
            return None
        model = self.service.model
        sums = torch.zeros(model.n_layers, model.d_model)
        layers: set[int] = set()
        for named in self.service.planner.plan(MindscopeFields(steer=list(steer))).edits:
            edit = named.edit
            point, layer = split_address(edit.address)
            if (edit.op, edit.where, point) != ("add", "response", "resid_post") or layer is None:
                raise ApiError(
                    400, f"a graph can hold what is added behind blocks, and not {named.name}", param="steer"
                )
            sums[layer] += edit.value * edit.vector.detach().float().cpu()
            layers.add(layer)
        if not layers:
            return None
        return PersonaVectors("steering", model.fingerprint, {"answer_mean": sums}, tuple(sorted(layers)))


def build_graph_router(desk: GraphDesk) -> APIRouter:
    """The routes of one service."""
    router = APIRouter(prefix="/v1/workbench", tags=["workbench"], responses=RESPONSES)

    @router.get("/graphs")
    async def graphs() -> GraphList:
        """All graphs in the folder of runs."""
        return await asyncio.to_thread(desk.list_graphs)

    @router.get("/graph", response_model=dict[str, Any])
    async def graph(run: str) -> Response:
        """What the page of a run's graph shows."""
        return Response(await asyncio.to_thread(desk.read, run), media_type="application/json")

    @router.post(
        "/graph",
        response_model=dict[str, Any],
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def open_file(http: Request) -> Response:
        """What a page shows of a public graph file, ours or another tool's; nothing is kept."""
        if http.headers.get("content-type", "").partition(";")[0].strip() != "application/octet-stream":
            raise ApiError(400, "send the file as application/octet-stream", code="wrong_content_type")
        content = await asyncio.to_thread(read_public_graph, await http.body())
        return JSONResponse(content)

    @router.post("/traces")
    async def trace(asked: TraceRequest) -> JobCard:
        """Trace which features and tokens led to the next token, in a process of its own."""
        return job_card(await asyncio.to_thread(desk.trace, asked))

    return router


def _take_folder(root: Path) -> Path:
    """The next graph's folder, which is made at once: another may be asked for before this one is begun."""
    taken = [int(found[1]) for path in root.iterdir() if (found := re.fullmatch(PATTERN, path.name))]
    number = max(taken, default=0) + 1
    while True:
        run = root / f"graph-{number}"
        try:
            run.mkdir()
        except FileExistsError:
            number += 1
        else:
            return run


def _keep_pushes(file: Path, pushes: PersonaVectors) -> str:
    """Write them, and say in an expression that they are added once."""
    pushes.save(file)
    return str(SteerExpression((SteerTerm(str(file), layers=pushes.layers),)))


def read_public_graph(content: bytes) -> dict[str, Any]:
    """What a page shows of a public graph file.

    Raises:
        DataError: it is none.
    """
    from mindscope.circuits import build_page_content

    try:
        document = parse_json(content)
    except ValueError as error:
        raise DataError(f"the file is not JSON: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(document, dict):
        raise DataError("the file is not a public graph: it holds no object")
    made = build_page_content(document, validation=document.get("validation"))
    return json.loads(to_json(made, inf_nan_mode="null"))

"""`/v1/workbench/graphs` and `/traces`: attribution graphs of runs and of files, and tracing new ones."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from mindscope.errors import DataError, MindscopeError
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.workbench.desks.desk import WorkDesk
from mindscope.server.workbench.desks.runs import JobCard, job_card
from mindscope.server.workbench.workers import JobStep, StartedJob
from mindscope.store import read_json

GRAPH, PAGE, SUMMARY = "graph.safetensors", "report.html", "summary.json"
PATTERN = r"graph-(\d+)"
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


class GraphList(BaseModel):
    """All graphs in the folder of runs, the newest first."""

    graphs: list[GraphCard]
    can_trace: bool


class TraceRequest(BaseModel):
    """A prompt whose next token is to be explained."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    prompt: TEXT
    chat: bool = False
    """The prompt is a user's turn of a chat."""
    answer: Annotated[str, Field(max_length=20_000)] = ""
    """How the answer begins; what follows it is explained."""
    target: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The next token that is explained, as text; by default the most probable ones."""


class GraphDesk(WorkDesk):
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
            fields = {key: facts.get(key) for key in GraphCard.model_fields if key not in ("run", "status")}
            cards.append(GraphCard.model_construct(run=name, status=run.status, **fields))
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
        """Start tracing."""
        root = self.shelf.require_root()
        taken = [int(found[1]) for path in root.iterdir() if (found := re.fullmatch(PATTERN, path.name))]
        run = root / f"graph-{max(taken, default=0) + 1}"
        # A graph adds up to what the model computed, which it does in float32 alone.
        known = {key: value for key, value in self.model.items() if key not in PRECISION}
        spec = {
            **known,
            "prompt": asked.prompt,
            "chat": asked.chat,
            "answer": asked.answer,
            "target": [] if asked.target is None else [asked.target],
        }
        title = f"graph of {asked.prompt[:60]}"
        return self.start(title, run, JobStep("circuit trace", spec, run))


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


def read_public_graph(content: bytes) -> dict[str, Any]:
    """What a page shows of a public graph file.

    Raises:
        DataError: it is none.
    """
    from mindscope.circuits import build_page_content

    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the file is not JSON: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(document, dict):
        raise DataError("the file is not a public graph: it holds no object")
    made = build_page_content(document, validation=document.get("validation"))
    return json.loads(to_json(made, inf_nan_mode="null"))

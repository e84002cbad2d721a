"""The application: all routes of a service behind one guard, and errors in one shape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, MutableMapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from mindscope import __version__
from mindscope.errors import MindscopeError
from mindscope.server.api.answering import LoopDeliverer, now
from mindscope.server.api.chat import build_router, require_model
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.api.guard import RequestGuard
from mindscope.server.api.replies import HealthReply, ModelCard, ModelList
from mindscope.server.api.vectors import build_vector_router
from mindscope.server.api.whole_text import WholeTextResponse
from mindscope.server.compat.neuronpedia import build_neuronpedia_router
from mindscope.server.upstream import UpstreamServer, build_upstream_router
from mindscope.server.workbench.routes import build_workbench_router

if TYPE_CHECKING:
    from mindscope.server.api.guard import Application, Receive, Scope, Send
    from mindscope.server.service import SteeringService
    from mindscope.server.workbench.routes import WorkbenchPlace


def build_app(
    service: SteeringService,
    *,
    token: str | None = None,
    hosts: Iterable[str] = (),
    origins: Iterable[str] = (),
    upstream: UpstreamServer | None = None,
    workbench: WorkbenchPlace | None = None,
) -> Application:
    """An ASGI application that serves a model.

    Args:
        service: the model and what is done to its answers; it is started and closed with the application.
        token: what clients must send; None for no token.
        hosts: names that the server may be asked for under, besides this machine's own.
        origins: pages of a browser that may ask, besides the server's own.
        upstream: who answers in the model's place, which then only watches.
        workbench: what the workbench shows; None to serve no pages.
    """
    app = FastAPI(
        title="mindscope",
        version=__version__,
        description="A model that is steered and watched while it answers.",
        lifespan=_lifespan(service),
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    created = now()

    @app.get("/health", tags=["server"], responses=RESPONSES)
    async def health() -> HealthReply:
        """Whether the server answers."""
        scheduler = service.scheduler
        if not scheduler.alive:
            raise ApiError(503, "the thread that writes answers has ended", headers={"Retry-After": "60"})
        live = scheduler.n_live
        return HealthReply(live=live, waiting=max(0, scheduler.n_open - live), slots=scheduler.slots)

    def card() -> ModelCard:
        model = service.model
        return ModelCard(
            id=service.name,
            created=created,
            fingerprint=model.fingerprint,
            context_length=model.context_length,
        )

    @app.get("/metrics", tags=["server"], responses=RESPONSES, response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        """What has been counted, in Prometheus' text form."""
        return PlainTextResponse(service.metrics.text())

    @app.get("/v1/models", tags=["openai"], responses=RESPONSES)
    async def models() -> ModelList:
        """The model that is served."""
        return ModelList(data=[card()])

    @app.get("/v1/models/{name:path}", tags=["openai"], responses=RESPONSES)
    async def model(name: str) -> ModelCard:
        """The model, by its name."""
        require_model(service, name)
        return card()

    if upstream is not None:
        app.include_router(build_upstream_router(service, upstream))
    else:
        app.include_router(build_router(service))
        app.include_router(build_neuronpedia_router(service))
    app.include_router(build_vector_router(service))
    if workbench is not None:
        app.include_router(build_workbench_router(service, workbench))
    _answer_errors(app)
    _describe_errors(app)
    return RequestGuard(
        _counted(app, service),
        token=token,
        hosts=hosts,
        origins=origins,
        body_bytes=service.limits.body_bytes,
        upload_bytes=service.limits.upload_bytes,
    )


def _lifespan(service: SteeringService) -> Any:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        service.start(LoopDeliverer(asyncio.get_running_loop()))
        try:
            yield
        finally:
            await asyncio.to_thread(service.close)

    return lifespan


def _counted(app: Application, service: SteeringService) -> Application:
    """The application with its requests counted by route and status."""

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                service.metrics.count_request(route, message["status"])
            await send(message)

        await app(scope, receive, sent)

    return counted


def _answer_errors(app: FastAPI) -> None:
    """Let every error have OpenAI's shape."""

    def reply(error: ApiError) -> JSONResponse:
        return WholeTextResponse(error.body(), error.status, headers=error.headers)

    @app.exception_handler(ApiError)
    async def refused(_request: Request, error: ApiError) -> JSONResponse:
        return reply(error)

    @app.exception_handler(MindscopeError)
    async def mendable(_request: Request, error: MindscopeError) -> JSONResponse:
        return reply(ApiError(400, str(error)))

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = [str(part) for part in first["loc"] if part not in ("body", "path", "query")]
        message = str(first["msg"]).removeprefix("Value error, ")
        param = ".".join(place) or None
        if first["type"] == "extra_forbidden":
            message = "this field is not supported here"
        return reply(
            ApiError(400, f"{param}: {message}" if param else message, param=param, code=first["type"])
        )

    @app.exception_handler(HTTPException)
    async def http_error(_request: Request, error: HTTPException) -> JSONResponse:
        return reply(ApiError(error.status_code, str(error.detail), headers=error.headers))

    @app.exception_handler(Exception)
    async def unforeseen(_request: Request, error: Exception) -> JSONResponse:
        return reply(ApiError(500, f"this request failed: {type(error).__name__}", code="internal_error"))


def _describe_errors(app: FastAPI) -> None:
    """Let the OpenAPI document name 400 where FastAPI says 422."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        document = plain()
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for unused in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(unused, None)
        return document

    app.openapi = described  # type: ignore[method-assign]

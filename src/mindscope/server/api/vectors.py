"""`/v1/mindscope/…`: which vectors there are, and uploading and deleting some."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from mindscope.errors import DataError
from mindscope.monitoring import AlarmAction
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.api.fields import Finite, RateField, VectorName

if TYPE_CHECKING:
    from mindscope.server.engine.registry import VectorCard
    from mindscope.server.service import SteeringService

NAME = Path(description="What the vector is called.")
ADDRESS = r"^[a-z_]{1,32}(\.[0-9]{1,4})?$"


class VectorUpload(BaseModel):
    """A vector, or several at different places that are written together."""

    model_config = ConfigDict(extra="forbid")

    vectors: dict[
        Annotated[str, Field(pattern=ADDRESS)],
        Annotated[list[Finite], Field(min_length=1, max_length=2**17)],
    ] = Field(min_length=1, max_length=512, description="Numbers by address, such as resid_post.12.")


class VectorReply(BaseModel):
    """A vector that can be named in requests."""

    name: str
    addresses: list[str]
    default: list[str]
    uploaded: bool
    digest: str


class CapabilityReply(BaseModel):
    """What can be asked of this server."""

    model: str
    fingerprint: str
    n_layers: int
    d_model: int
    context_length: int | None
    operations: list[str]
    positions: list[str]
    vectors: list[VectorReply]
    dictionaries: dict[str, int]
    watched: list[str]
    policy: AlarmAction
    rate: RateField | None = None
    slots: int
    max_tokens: int


class DeletedReply(BaseModel):
    """A vector that is gone."""

    name: str
    deleted: Literal[True] = True


def build_vector_router(service: SteeringService) -> APIRouter:
    """The routes of one service."""
    from mindscope.features import SteerOperation
    from mindscope.models import WHERES
    from mindscope.server.descriptions import describe_rate

    router = APIRouter(prefix="/v1/mindscope", tags=["mindscope"], responses=RESPONSES)
    registry = service.registry

    @router.get("/capabilities")
    async def capabilities() -> CapabilityReply:
        """What the model is, which vectors there are, and what is watched."""
        model, calibration = service.model, service.planner.calibration
        return CapabilityReply(
            model=service.name,
            fingerprint=model.fingerprint,
            n_layers=model.n_layers,
            d_model=model.d_model,
            context_length=model.context_length,
            operations=list(get_args(SteerOperation)),
            positions=[*WHERES, "from_token"],
            vectors=[_reply(card) for card in registry.cards()],
            dictionaries={name: one.n_latents for name, one in registry.dictionaries.items()},
            watched=list(service.planner.labels),
            policy=service.planner.policy.action,
            rate=None if calibration is None else describe_rate(calibration),
            slots=service.scheduler.slots,
            max_tokens=service.limits.max_tokens,
        )

    @router.put("/vectors/{name}", response_model=VectorReply)
    async def upload(name: Annotated[VectorName, NAME], vectors: VectorUpload, _http: Request) -> VectorReply:
        """Take in vectors by address. They stay until they are deleted or the server ends."""
        return await _added(registry.add_directions, name, vectors.vectors)

    @router.put(
        "/vectors/{name}/file",
        response_model=VectorReply,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def upload_file(name: Annotated[VectorName, NAME], http: Request) -> VectorReply:
        """Take in a .safetensors file of persona vectors, as `mindscope persona extract` makes it."""
        if http.headers.get("content-type", "").partition(";")[0].strip() != "application/octet-stream":
            raise ApiError(400, "send the file as application/octet-stream", code="wrong_content_type")
        return await _added(registry.add_file, name, await http.body())

    @router.delete("/vectors/{name}", response_model=DeletedReply)
    async def delete(name: Annotated[VectorName, NAME]) -> Response:
        """Forget an uploaded vector."""
        try:
            registry.remove(name)
        except DataError as error:
            raise ApiError(404, str(error), param="name", code="vector_not_found") from error
        return JSONResponse(DeletedReply(name=name).model_dump())

    return router


async def _added(add, name: str, what) -> VectorReply:
    return _reply(await asyncio.to_thread(add, name, what))


def _reply(card: VectorCard) -> VectorReply:
    return VectorReply(
        name=card.name,
        addresses=list(card.addresses),
        default=list(card.default),
        uploaded=card.uploaded,
        digest=card.digest,
    )

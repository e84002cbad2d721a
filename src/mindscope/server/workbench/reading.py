"""`/v1/workbench/read`: a conversation as tokens, what features read at each, and all that is known at one.

What is asked for is read in passes of its own between those of the answers, under the same edits as an answer
that was steered so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mindscope.features import FIRST, FeatureSet
from mindscope.models import Message, Model, Project, Raw, Read, Row, token_texts
from mindscope.server.api.answering import require_row
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.api.fields import MindscopeFields, SteerItem
from mindscope.server.plans import short_labels

if TYPE_CHECKING:
    from mindscope.models import Edit
    from mindscope.server.service import SteeringService

LIKELIEST = 10
"""Next tokens that are told of a place."""
STRONGEST = 10
"""Active latents that are told of a dictionary."""
MOST_FEATURES = 64


class ReadMessage(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str
    reasoning: str | None = None


class ReadRequest(BaseModel):
    """What to read of which conversation."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    messages: list[ReadMessage] = Field(min_length=1, max_length=4096)
    """The conversation; a last turn of the assistant is the answer."""
    steer: str | list[SteerItem] | None = None
    """What is written meanwhile, as in a request for an answer."""
    features: list[Annotated[str, Field(min_length=1, max_length=256)]] = Field(
        default=[], max_length=MOST_FEATURES
    )
    """What to read at every token: names of vectors, or DICTIONARY/LATENT."""
    token: int | None = Field(default=None, ge=0, le=2**31)
    """A token of the answer of which all is to be told, counted from 0."""


class ReadToken(BaseModel):
    """A token of the conversation as the model sees it."""

    text: str
    role: str
    """Whose it is: system, user, assistant, reasoning, or what the template wrote."""


class LikelyToken(BaseModel):
    """A token that may stand somewhere."""

    text: str
    probability: float


class LayerReading(BaseModel):
    """What one vector reads at one token, layer by layer."""

    feature: str
    layers: list[int]
    values: list[float]
    """Projections a . v / |v| at the output of each layer, with that layer's own vector."""


class LatentReading(BaseModel):
    """A latent that is active at a token."""

    name: str
    """As DICTIONARY/LATENT, which can be named in requests."""
    activation: float


class TokenReading(BaseModel):
    """All that is known at one token of an answer."""

    index: int
    layers: list[LayerReading]
    latents: list[LatentReading]
    """The strongest of every dictionary."""
    likeliest: list[LikelyToken]
    """What the model would have written in the token's place, at temperature 1."""
    probability: float
    """Of the token itself."""


class ReadReply(BaseModel):
    """A conversation as tokens, with readings."""

    tokens: list[ReadToken]
    answer: int
    """Where the answer begins among the tokens, behind what the template writes before it."""
    readings: dict[str, list[float]]
    """By what a feature is called in replies: a value at every token."""
    token: TokenReading | None = None


def build_read_router(service: SteeringService) -> APIRouter:
    """The route of one service."""
    router = APIRouter(prefix="/v1/workbench", tags=["workbench"], responses=RESPONSES)

    @router.post("/read")
    async def read(asked: ReadRequest) -> ReadReply:
        """The tokens of a conversation, and what features read there."""
        return await asyncio.to_thread(read_conversation, service, asked)

    return router


def read_conversation(service: SteeringService, asked: ReadRequest) -> ReadReply:
    """Carry out a request.

    Raises:
        ApiError: it is too long, or there is no such token.
        DataError: a name that means nothing.
        ModelError: a conversation that the template refuses.
    """
    model = service.model
    row = conversation_row(model, asked.messages)
    require_row(model, row)
    edits = [named.edit for named in service.planner.plan(MindscopeFields(steer=asked.steer)).edits]
    start = row.final_start
    if asked.token is not None and not start + asked.token < len(row):
        raise ApiError(400, f"the answer has {len(row) - start} tokens: count from 0", param="token")
    with service.reading:
        readings = _read_features(service, row, edits, asked.features)
        token = None if asked.token is None else _read_token(service, row, edits, start + asked.token)
    # Apart, as answers are decoded: what stands before an answer must not decide about its first space.
    texts = [text for ids in (row.ids[:start], row.ids[start:]) for text in token_texts(model.tokenizer, ids)]
    tokens = [ReadToken(text=text, role=str(role)) for text, role in zip(texts, row.roles, strict=True)]
    return ReadReply(tokens=tokens, answer=start, readings=readings, token=token)


def conversation_row(model: Model, messages: Sequence[ReadMessage]) -> Row:
    """A conversation as the model sees it, with its last turn as the answer where it is the assistant's."""
    turns: list[Message] = []
    for message in messages:
        turn: Message = {"role": message.role, "content": message.content}
        if message.reasoning is not None:
            turn["reasoning"] = message.reasoning
        turns.append(turn)
    last = messages[-1]
    if last.role != "assistant":
        return model.chat(turns)
    return model.chat(turns[:-1], last.content, last.reasoning)


def _read_features(
    service: SteeringService, row: Row, edits: Sequence[Edit], names: Sequence[str]
) -> dict[str, list[float]]:
    """`{label: [tokens]}`."""
    chosen = [feature for name in dict.fromkeys(names) for feature in service.registry.features(name)]
    if not chosen:
        return {}
    features = FeatureSet(chosen)
    read = service.model.read([row], features.build_reads("all", FIRST), edits=edits or None)
    table = features.assemble({name: reading.values[0] for name, reading in read.items()})
    labels = short_labels(features)
    return {label: _rounded(table[:, column]) for column, label in enumerate(labels)}


def _read_token(service: SteeringService, row: Row, edits: Sequence[Edit], place: int) -> TokenReading:
    model, traits = service.model, service.registry.personas
    rows_of: dict[int, list[str]] = {}  # by layer, whose vectors are read there
    for name, vectors in traits.items():
        for layer in vectors.layers:
            rows_of.setdefault(layer, []).append(name)
    reads: dict[str, Read] = {}
    for layer, names in rows_of.items():
        units = torch.stack([traits[name].direction(layer).unit for name in names])  # traits x width
        reads[str(layer)] = Read(f"resid_post.{layer}", Project(units, "all"))
    values: dict[str, dict[int, float]] = {name: {} for name in traits}
    if reads:
        for key, reading in model.read([row], reads, edits=edits or None).items():
            at_place = reading.values[0][place].tolist()
            for name, value in zip(rows_of[int(key)], at_place, strict=True):
                values[name][int(key)] = float(f"{value:.4g}")
    # A token is drawn where the one before it has passed.
    before = Row(row.ids[:place], min(place, row.prompt_length), row.roles[:place])
    (logits,) = model.next_logits([before], edits=edits or None)
    shares = logits.softmax(-1)
    best = shares.topk(min(LIKELIEST, len(shares)))
    return TokenReading(
        index=place - row.final_start,
        layers=[
            LayerReading(feature=name, layers=list(by_layer), values=list(by_layer.values()))
            for name, by_layer in values.items()
        ],
        latents=_read_latents(service, row, edits, place),
        likeliest=[
            LikelyToken(text=model.decode([token]), probability=float(f"{share:.4g}"))
            for token, share in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ],
        probability=float(f"{shares[row.ids[place]].item():.4g}"),
    )


def _read_latents(
    service: SteeringService, row: Row, edits: Sequence[Edit], place: int
) -> list[LatentReading]:
    """The strongest active latents at one token, dictionary by dictionary."""
    active: list[LatentReading] = []
    for name, dictionary in service.registry.dictionaries.items():
        if len(dictionary.models) > 1:
            continue  # a crosscoder of two models reads both of them
        reads = {str(i): Read(site.address, Raw("all")) for i, site in enumerate(dictionary.reads)}
        seen = service.model.read([row], reads, edits=edits or None)
        here = torch.cat([seen[key].values[0][place] for key in reads])[None]  # one token x d_in
        code = dictionary.encode(here)
        best = code.values.topk(min(STRONGEST, len(code.values)))
        active += [
            LatentReading(name=f"{name}/{code.indices[i].item()}", activation=float(f"{value:.4g}"))
            for i, value in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]
    return active


def _rounded(values: torch.Tensor) -> list[float]:
    return [float(f"{value:.4g}") for value in values.tolist()]

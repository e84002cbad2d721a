"""`/v1/steer/completion-chat` as Neuronpedia's inference server has it: steered and plain answers together.

Fields come in camelCase or with underscores, and the reply has what the request had. Differences, all of
them refusals: nothing is read of the conversation (`reads`), a frequency penalty is 0, and orthogonal
decomposition ((I - P) h + c P h) is known for c = 0, where it is an ablation.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from mindscope.errors import DataError, ModelError
from mindscope.server.api.answering import (
    ClientGoneError,
    RequestAnswers,
    answer_limit,
    draw_seed,
    request_id,
    require_row,
)
from mindscope.server.api.chat import require_model
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.api.fields import Finite
from mindscope.server.engine.answer_job import AnswerEnd, AnswerPiece
from mindscope.server.engine.registry import NamedEdit
from mindscope.server.plans import SteeringPlan

if TYPE_CHECKING:
    from mindscope.features import Direction
    from mindscope.models import Model, Positions, Row, TokenLogprob
    from mindscope.server.service import SteeringService

Vector = Annotated[list[Finite], Field(min_length=1, max_length=2**17)]
SteerType = Literal["STEERED", "DEFAULT"]
_HOOK = re.compile(r"blocks\.(\d{1,4})\.hook_resid_(pre|post)")


class _Wire(BaseModel):
    model_config = ConfigDict(
        extra="forbid", alias_generator=to_camel, populate_by_name=True, protected_namespaces=()
    )


class SteerChatMessage(_Wire):
    """One turn."""

    content: str
    role: Literal["system", "developer", "user", "assistant", "model"]


class SteerFeature(_Wire):
    """A latent of a dictionary of this server: `source` is its name."""

    model: str
    source: str = Field(min_length=1, max_length=256)
    index: int = Field(ge=0, le=2**31)
    strength: Finite
    steering_vector: Vector | None = None


class SteerVector(_Wire):
    """Numbers, and where they are written: `blocks.12.hook_resid_post`."""

    steering_vector: Vector
    strength: Finite
    hook: str = Field(max_length=64)


class SteerChatRequest(_Wire):
    """A conversation that is to be answered with steering, without, or both."""

    prompt: list[SteerChatMessage] = Field(min_length=1, max_length=4096)
    model: str = Field(max_length=512)
    steer_method: Literal["SIMPLE_ADDITIVE", "ORTHOGONAL_DECOMP", "PROJECTION_CAP"]
    normalize_steering: bool
    types: list[SteerType] = Field(min_length=1, max_length=2)
    features: list[SteerFeature] | None = Field(default=None, max_length=64)
    vectors: list[SteerVector] | None = Field(default=None, max_length=64)
    n_completion_tokens: int = Field(ge=1, le=2**31)
    temperature: float = Field(ge=0, le=2)
    strength_multiplier: Finite
    freq_penalty: float = Field(ge=0, le=0)
    seed: float = Field(ge=-(2.0**53), le=2.0**53)
    stream: bool | None = False
    n_logprobs: int | None = Field(default=0, ge=0, le=10)
    reads: Annotated[list[Any], Field(max_length=0)] | None = None
    steer_special_tokens: bool

    @model_validator(mode="after")
    def _has_what_it_steers_with(self) -> SteerChatRequest:
        given = (self.features is not None) + (self.vectors is not None)
        if given > 1 or ("STEERED" in self.types and not given):
            raise ValueError("exactly one of features or vectors must be provided")
        if len(set(self.types)) < len(self.types):
            raise ValueError("types are named once each")
        return self


class SteerTopLogprob(_Wire):
    """A likely token."""

    token: str
    logprob: float


class SteerLogprob(SteerTopLogprob):
    """A token of an answer, and what else was likely there."""

    top_logprobs: list[SteerTopLogprob]


class SteerChatResult(_Wire):
    """A conversation as turns and as the model sees it."""

    chat_template: list[SteerChatMessage]
    raw: str
    type: SteerType | None = None
    logprobs: list[SteerLogprob] | None = None


class SteerChatReply(_Wire):
    """The answers of each type, and what they answer."""

    outputs: list[SteerChatResult]
    input: SteerChatResult


def build_neuronpedia_router(service: SteeringService) -> APIRouter:
    """The route of one service."""
    router = APIRouter(prefix="/v1/steer", tags=["neuronpedia"], responses=RESPONSES)
    stream = {"application/json": {}, "text/event-stream": {"schema": {"type": "string"}}}

    @router.post(
        "/completion-chat",
        response_model=SteerChatReply,
        responses={200: {"content": stream}},
    )
    async def completion_chat(asked: SteerChatRequest, http: Request) -> Response:
        """Answer with steering, without, or both."""
        require_model(service, asked.model)
        camel = "steerMethod" in await http.json()
        row = await asyncio.to_thread(_row, service.model, asked)
        limit = answer_limit(service, row, asked.n_completion_tokens)
        steered = SteeringPlan(tuple(_edits(service, asked, row, limit)))
        service.model.check_edits(named.edit for named in steered.edits)
        answers = RequestAnswers(service, http, streamed=bool(asked.stream))
        name, seed = request_id("steer"), draw_seed(int(asked.seed))
        plans: dict[SteerType, SteeringPlan] = {kind: service.planner.plan(None) for kind in asked.types}
        if "STEERED" in plans:
            plans["STEERED"] = replace(plans["STEERED"], edits=steered.edits)
        plans = {kind: service.listen(plan, name) for kind, plan in plans.items()}
        for plan in plans.values():
            sampling = _sampling(asked, limit)
            # Both answers draw with the same numbers, so that they differ by the steering alone.
            answers.add(row, sampling, plan, seed=(seed, 0), n_top=asked.n_logprobs or None)
        answers.submit()
        form = _SteerForm(service, asked, row, list(plans.items()), name, camel)
        if not asked.stream:
            try:
                ends = await answers.ends()
            except ClientGoneError:
                return Response(status_code=499)
            for choice, end in enumerate(ends):
                await form.log(choice, end)
            texts = [end.generation.text if end.generation is not None else "" for end in ends]
            return JSONResponse(form.reply(texts, dict(enumerate(ends))))
        return StreamingResponse(_frames(form, answers), media_type="text/event-stream")

    return router


class _SteerForm:
    """How the answers of one request are written down."""

    def __init__(
        self,
        service: SteeringService,
        asked: SteerChatRequest,
        row: Row,
        plans: Sequence[tuple[SteerType, SteeringPlan]],
        name: str,
        camel: bool,
    ):
        self._service, self._asked, self._plans, self._name = service, asked, plans, name
        self._raw = service.model.tokenizer.decode(list(row.ids), skip_special_tokens=False)
        self._camel = camel

    async def log(self, choice: int, end: AnswerEnd) -> None:
        """Keep what was read of an answer, before it is told."""
        await self._service.record(self._name, self._plans[choice][1], {choice: end}, "chat")

    def reply(self, texts: Sequence[str], ends: Mapping[int, AnswerEnd]) -> dict[str, Any]:
        """The whole reply, as far as the answers are written."""
        outputs = []
        for choice, ((kind, _), text) in enumerate(zip(self._plans, texts, strict=True)):
            turns = [*self._asked.prompt, SteerChatMessage(content=text, role="assistant")]
            scores = None
            if self._asked.n_logprobs and choice in ends:
                scores = [_scores(self._service.model, token) for token in ends[choice].logprobs]
            outputs.append(
                SteerChatResult(chat_template=turns, raw=self._raw + text, type=kind, logprobs=scores)
            )
        asked = SteerChatResult(chat_template=self._asked.prompt, raw=self._raw)
        reply = SteerChatReply(outputs=outputs, input=asked)
        return reply.model_dump(mode="json", by_alias=self._camel, exclude_none=True)


async def _frames(form: _SteerForm, answers: RequestAnswers) -> AsyncGenerator[str]:
    """Each event holds all that is written so far, as Neuronpedia's clients expect it."""
    texts = [""] * len(answers.jobs)
    ends: dict[int, AnswerEnd] = {}
    async with contextlib.aclosing(answers.events()) as events:
        try:
            async for event in events:
                if isinstance(event.what, AnswerPiece):
                    texts[event.choice] += event.what.text
                    if not event.what.text:
                        continue
                else:
                    await form.log(event.choice, event.what)
                    ends[event.choice] = event.what
                yield f"data: {json.dumps(form.reply(texts, ends), ensure_ascii=False)}\n\n"
        except ApiError as error:
            yield f"data: {json.dumps({'error': error.message})}\n\n"
        except ClientGoneError:
            return


def _row(model: Model, asked: SteerChatRequest) -> Row:
    from mindscope.models import Message

    roles = {"model": "assistant", "developer": "system"}
    messages: list[Message] = [
        {"role": roles.get(message.role, message.role), "content": message.content}
        for message in asked.prompt
    ]
    row = model.chat(messages)
    require_row(model, row)
    return row


def _sampling(asked: SteerChatRequest, limit: int) -> Any:
    from mindscope.models import Sampling

    return Sampling(temperature=asked.temperature, max_new_tokens=limit)


def _edits(service: SteeringService, asked: SteerChatRequest, row: Row, limit: int) -> list[NamedEdit]:
    """What the features or vectors of a request write."""
    from mindscope.models import Edit

    where = _where(asked, row, limit)
    edits: list[NamedEdit] = []
    for direction, strength in _directions(service, asked):
        value = asked.strength_multiplier * strength
        vector = direction.unit if asked.normalize_steering else direction.vector
        match asked.steer_method:
            case "SIMPLE_ADDITIVE":
                edit = Edit(direction.address, "add", vector, value, where)
            case "PROJECTION_CAP":
                edit = Edit(direction.address, "cap", vector, value, where)
            case _:
                if value:
                    raise ModelError(
                        "orthogonal decomposition is known here for a strength of 0, an ablation, alone"
                    )
                edit = Edit(direction.address, "ablate", vector, 1.0, where)
        edits.append(NamedEdit(direction.name, edit))
    return edits


def _directions(service: SteeringService, asked: SteerChatRequest) -> list[tuple[Direction, float]]:
    import torch

    from mindscope.features import Direction

    fingerprint = service.model.fingerprint
    found: list[tuple[Direction, float]] = []
    for number, vector in enumerate(asked.vectors or ()):
        values = torch.tensor(vector.steering_vector, dtype=torch.float64).float()
        address = _address(vector.hook)
        found.append((Direction(f"vector {number}", address, values, fingerprint), vector.strength))
    for feature in asked.features or ():
        name = f"{feature.source}/{feature.index}"
        own = service.registry.find(name)
        if feature.steering_vector is not None:
            values = torch.tensor(feature.steering_vector, dtype=torch.float64).float()
            own = [replace(direction, vector=values) for direction in own]
        found += [(replace(direction, name=name), feature.strength) for direction in own]
    return found


def _address(hook: str) -> str:
    """The address of a TransformerLens hook in the residual stream.

    Raises:
        DataError: it is another hook.
    """
    match = _HOOK.fullmatch(hook)
    if match is None:
        raise DataError(f"{hook!r} cannot be steered here: use blocks.N.hook_resid_post or hook_resid_pre")
    layer = int(match[1])
    if match[2] == "post":
        return f"resid_post.{layer}"
    return "embeddings" if layer == 0 else f"resid_post.{layer - 1}"


def _where(asked: SteerChatRequest, row: Row, limit: int) -> Positions:
    """All tokens, or all but those that the chat template wrote."""
    if asked.steer_special_tokens:
        return "all"
    words = [place for place, role in enumerate(row.roles) if role != "special"]
    return (*words, *range(len(row), len(row) + limit))


def _scores(model: Model, token: TokenLogprob) -> SteerLogprob:
    top = [SteerTopLogprob(token=model.decode([name]), logprob=value) for name, value in token.top]
    return SteerLogprob(token=model.decode([token.token]), logprob=token.logprob, top_logprobs=top)

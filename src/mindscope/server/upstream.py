"""A sidecar: another server answers, and the model here reads what passes, with the same alarms.

What the client sends goes on as it is, but for the field `mindscope`. Answers are passed on piece by piece.
The model reads them in its own rendering of the conversation, so it should be the one that answers, or one
whose vectors mean the same. With the policy `stop` a stream is read anew every `_PIECES` pieces, and ends
where an alarm is raised; a whole answer is read once, and withheld.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx2
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import ValidationError

from mindscope.core import parse_http_address
from mindscope.errors import DataError, MindscopeError
from mindscope.models import Generation, ToolMessage
from mindscope.server.api.answering import event_line, request_id
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.api.fields import MindscopeFields
from mindscope.server.api.requests import RequestMessage
from mindscope.server.engine.answer_job import AnswerEnd

if TYPE_CHECKING:
    from mindscope.models import Model
    from mindscope.server.plans import SteeringPlan
    from mindscope.server.service import SteeringService

_PIECES = 16
"""Pieces of a stream between two readings: about the window of a signal."""
_SECONDS = 300.0
_REPLY_BYTES = 2**24
_READ_FIELDS = ("role", "content", "reasoning_content", "tool_calls", "tool_call_id")
"""What a turn says. Other fields of it are for whoever answers, and go on unread."""

Json = dict[str, Any]


class UpstreamServer:
    """Who answers.

    Args:
        url: its address, up to `/v1`.
        key: its key, which goes to no other address.

    Raises:
        DataError: the address is none.
    """

    def __init__(self, url: str, key: str | None = None):
        try:
            parse_http_address(url)
        except ValueError as error:
            raise DataError(
                f"{url!r} is no address ({error}): write for example http://127.0.0.1:9000/v1"
            ) from None
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.url = url.rstrip("/")
        self.client = httpx2.AsyncClient(headers=headers, timeout=_SECONDS, follow_redirects=False)

    async def send(self, body: Json) -> httpx2.Response:
        """A conversation, whose reply is open and still to be read.

        Raises:
            ApiError: it does not answer.
        """
        request = self.client.build_request("POST", f"{self.url}/chat/completions", json=body)
        try:
            return await self.client.send(request, stream=True)
        except httpx2.HTTPError as error:
            raise ApiError(
                503,
                f"the server behind this one does not answer: {type(error).__name__}",
                code="upstream_unavailable",
                headers={"Retry-After": "5"},
            ) from error


@dataclass
class _PassingAnswer:
    """One choice of a stream, as far as it has come."""

    text: str = ""
    finish: str = "stop"
    n_pieces: int = 0


@dataclass
class _Watcher:
    """What reads the answers of one request."""

    service: SteeringService
    plan: SteeringPlan
    view: Model
    """The model with the template's options and tools of this conversation."""
    messages: list[ToolMessage]
    name: str
    ends: dict[int, AnswerEnd] = field(default_factory=dict)

    async def read(self, choice: int, text: str, finish: str, *, last: bool = True) -> AnswerEnd:
        """What the model reads of an answer; kept in the log where it is the last reading."""
        end = await asyncio.to_thread(self._read, text, finish, last)
        if last:
            self.ends[choice] = end
            await self.service.record(self.name, self.plan, {choice: end}, "chat")
        return end

    def stops(self, end: AnswerEnd) -> bool:
        """Whether the policy ends the answer."""
        watch, seen = self.plan.watch, end.watched
        if watch is None or seen is None or watch.policy.action != "stop":
            return False
        return bool(seen.raised.any())

    def extra(self, end: AnswerEnd) -> Json:
        """What mindscope has to say, where the client asked for anything."""
        return self.service.describe(self.plan, end)

    def _read(self, text: str, finish: str, last: bool) -> AnswerEnd:
        service, watch = self.service, self.plan.watch
        row = self.view.chat(self.messages, text)
        room = service.model.context_length
        if room is not None and len(row) > room:
            raise ApiError(400, f"the conversation has {len(row)} tokens, and {room} can be watched here")
        generation = Generation(row, text, "length" if finish == "length" else "stop")
        if watch is None:
            return AnswerEnd(generation)
        with service.reading:  # events are told once, of the last reading
            hear = watch.on_event if last else None
            seen = watch.monitor.read(service.model, row, watch.policy, watch.columns, hear)
        halted = watch.policy.action == "stop" and seen.raised.any()
        return AnswerEnd(replace(generation, finish="halted") if halted else generation, watched=seen)


def build_upstream_router(service: SteeringService, upstream: UpstreamServer) -> APIRouter:
    """The route of a sidecar."""
    router = APIRouter(prefix="/v1", tags=["openai"], responses=RESPONSES)

    @router.post("/chat/completions", response_model=None)
    async def chat_completions(body: dict[str, Any], http: Request) -> Response:
        """Pass a conversation on, and watch what is answered."""
        watcher = _open_watcher(service, body)
        reply = await upstream.send(body)
        if reply.status_code != 200:
            content = await _bounded(reply)
            return Response(content, reply.status_code, media_type=reply.headers.get("content-type"))
        if body.get("stream") is True:
            return StreamingResponse(_passed_on(watcher, reply), media_type="text/event-stream")
        return JSONResponse(await _whole(watcher, await _bounded(reply)))

    return router


def _open_watcher(service: SteeringService, body: Json) -> _Watcher:
    """Take mindscope's field out of a body, and find the conversation in it."""
    try:
        fields = MindscopeFields.model_validate(body.pop("mindscope")) if "mindscope" in body else None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(["mindscope", *map(str, first["loc"])])
        raise ApiError(400, f"{place}: {first['msg']}", param=place) from error
    if fields is not None and fields.steer:
        raise ApiError(400, "another server answers here, and cannot be steered", param="mindscope.steer")
    plan = service.planner.plan(fields)
    if plan.watch is not None and plan.watch.policy.action == "steer":
        raise ApiError(400, "another server answers here, and cannot be steered", param="mindscope.policy")
    try:
        view = _rendering(service.model, body)
        messages = _messages(body.get("messages"))
        view.chat(messages)
    except MindscopeError as error:
        raise ApiError(400, str(error), param="messages") from error
    name = request_id("chatcmpl")
    return _Watcher(service, service.listen(plan, name), view, messages, name)


def _rendering(model: Model, body: Json) -> Model:
    """The model with what the other server's template is told, as far as this one's template asks for it."""
    options = body.get("chat_template_kwargs")
    told = dict(options) if isinstance(options, dict) else {}
    if body.get("tools") and body.get("tool_choice") != "none":
        told["tools"] = body["tools"]
    source = model.template_source
    taken = {name: value for name, value in told.items() if re.search(rf"\b{re.escape(name)}\b", source)}
    return model.with_template(**taken) if taken else model


def _messages(given: object) -> list[ToolMessage]:
    """The turns as the model reads them: texts, parts that are texts, calls of tools and what these gave.

    Raises:
        ApiError: a turn holds something else, such as a picture.
        ModelError: a call's arguments are no object.
    """
    messages: list[ToolMessage] = []
    for number, message in enumerate(given if isinstance(given, list) else []):
        said = message if isinstance(message, dict) else {}
        try:
            turn = RequestMessage.model_validate({key: said[key] for key in _READ_FIELDS if key in said})
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(["messages", str(number), *map(str, first["loc"])])
            why = first["msg"].removeprefix("Value error, ")
            raise ApiError(400, f"{place} cannot be watched: {why}", param=place) from error
        messages.append(turn.as_template_takes())
    return messages


async def _bounded(reply: httpx2.Response) -> bytes:
    """A whole reply, if it is not too long."""
    parts: list[bytes] = []
    size = 0
    try:
        async for part in reply.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > _REPLY_BYTES:
                raise ApiError(503, "the server behind this one answers at too great a length")
    except httpx2.HTTPError as error:
        raise ApiError(503, "the server behind this one broke off", code="upstream_unavailable") from error
    finally:
        await reply.aclose()
    return b"".join(parts)


async def _whole(watcher: _Watcher, content: bytes) -> Json:
    try:
        body = json.loads(content)
        # An answer that only calls tools has no content, or null.
        choices = [(choice, choice["message"].get("content") or "") for choice in body["choices"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ApiError(503, "the server behind this one gave no chat completion") from error
    for number, (choice, text) in enumerate(choices):
        end = await watcher.read(number, text, str(choice.get("finish_reason")))
        if watcher.stops(end):
            _withhold(choice)
        choice |= watcher.extra(end)
    return body


def _withhold(choice: Json) -> None:
    """Take an answer out of a reply, wherever it stands: as text, reasoning, calls, or token by token."""
    choice["message"] = {"role": choice["message"].get("role", "assistant"), "content": ""}
    choice["finish_reason"] = "content_filter"
    if "logprobs" in choice:
        choice["logprobs"] = None


async def _passed_on(watcher: _Watcher, reply: httpx2.Response) -> AsyncGenerator[str]:
    """The events of the other server, and behind an answer's last one what was read of it."""
    answers: dict[int, _PassingAnswer] = {}
    head: Json = {}
    try:
        async for line in reply.aiter_lines():
            if not line.startswith("data:"):
                continue
            data = line[5:].strip()
            if data == "[DONE]":
                break
            event = json.loads(data)
            head = {key: event[key] for key in ("id", "object", "created", "model") if key in event}
            stopped = await _take_event(watcher, answers, event)
            if stopped is not None:
                yield event_line({**head, "choices": [stopped]})
                yield "data: [DONE]\n\n"
                return
            yield f"data: {data}\n\n"
        for number, answer in answers.items():
            end = await watcher.read(number, answer.text, answer.finish)
            if extra := watcher.extra(end):
                yield event_line(
                    {**head, "choices": [{"index": number, "delta": {}, "finish_reason": None, **extra}]}
                )
        yield "data: [DONE]\n\n"
    except ApiError as error:
        yield event_line(error.body())
    except (httpx2.HTTPError, ValueError):
        yield event_line(ApiError(503, "the server behind this one broke off").body())
    finally:
        await reply.aclose()


async def _take_event(
    watcher: _Watcher, answers: dict[int, _PassingAnswer], event: Mapping[str, Any]
) -> Json | None:
    """Take in a piece; the choice that ends the stream, where the policy says so."""
    for choice in event.get("choices") or ():
        number = int(choice.get("index", 0))
        answer = answers.setdefault(number, _PassingAnswer())
        answer.text += (choice.get("delta") or {}).get("content") or ""
        answer.finish = choice.get("finish_reason") or answer.finish
        answer.n_pieces += 1
        watch = watcher.plan.watch
        acts = watch is not None and watch.policy.action == "stop"
        if acts and (answer.n_pieces % _PIECES == 0 or choice.get("finish_reason")):
            seen = await watcher.read(number, answer.text, answer.finish, last=False)
            if watcher.stops(seen):
                end = await watcher.read(number, answer.text, answer.finish)
                return {
                    "index": number,
                    "delta": {},
                    "finish_reason": "content_filter",
                    **watcher.extra(end),
                }
    return None

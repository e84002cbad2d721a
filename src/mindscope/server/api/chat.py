"""`/v1/chat/completions` and `/v1/completions`: requests to rows, rows to answers, answers to replies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from mindscope.errors import ModelError
from mindscope.models import Row, ToolMessage
from mindscope.server.api.answering import (
    ClientGoneError,
    RequestAnswers,
    now,
    request_id,
    require_row,
    submit_choices,
)
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.api.replies import ChatReply, CompletionReply, Reason
from mindscope.server.api.requests import (
    ChatCompletionRequest,
    CompletionRequest,
    RequestMessage,
    SampledRequest,
)
from mindscope.server.api.tools import CallFormat, find_call_format
from mindscope.server.compat.easysteer import compile_easysteer
from mindscope.server.engine.scheduler import AnswerEnd, AnswerPiece
from mindscope.server.service import short_numbers

if TYPE_CHECKING:
    from mindscope.models import Model, TokenConstraint, TokenLogprob
    from mindscope.server.service import SteeringPlan, SteeringService

STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}, "text/event-stream": {"schema": {"type": "string"}}}}
}

Json = dict[str, Any]


def build_router(service: SteeringService) -> APIRouter:
    """The routes of one service."""
    router = APIRouter(prefix="/v1", tags=["openai"], responses=RESPONSES)

    @router.post("/chat/completions", response_model=ChatReply, responses=STREAM)
    async def chat_completions(asked: ChatCompletionRequest, http: Request) -> Response:
        """Answer a conversation, steered and watched as `mindscope` says."""
        require_model(service, asked.model)
        plan = service.plan(asked.mindscope)
        calls = call_format(service.model, asked)
        row = await asyncio.to_thread(chat_row, service.model, asked)
        name = request_id("chatcmpl")
        plan = service.listen(_with_easysteer(service, asked, plan, [row], asked.limit), name)
        n_top = (asked.top_logprobs or 0) if asked.logprobs else None
        answers = RequestAnswers(service, http, streamed=bool(asked.stream))
        constraint = await asyncio.to_thread(answer_constraint, service, asked, row)
        submit_choices(answers, service, [row], asked, plan, asked.limit, n_top, constraint)
        form = _ChatForm(service, asked, plan, name, len(row), calls=calls)
        return await _respond(form, answers)

    @router.post("/completions", response_model=CompletionReply, responses=STREAM)
    async def completions(asked: CompletionRequest, http: Request) -> Response:
        """Continue texts, steered and watched as `mindscope` says."""
        require_model(service, asked.model)
        plan = service.plan(asked.mindscope)
        rows = await asyncio.to_thread(text_rows, service.model, asked)
        limit = asked.max_tokens or _COMPLETION_TOKENS
        name = request_id("cmpl")
        plan = service.listen(_with_easysteer(service, asked, plan, rows, limit), name)
        answers = RequestAnswers(service, http, streamed=bool(asked.stream))
        submit_choices(answers, service, rows, asked, plan, limit, asked.logprobs)
        n_prompt = sum(len(row) for row in rows)
        return await _respond(_TextForm(service, asked, plan, name, n_prompt), answers)

    return router


_COMPLETION_TOKENS = 16
"""What the older route writes where a request does not say: OpenAI's default."""


def require_model(service: SteeringService, name: str) -> None:
    """Refuse a model that is not served here."""
    if name != service.name:
        raise ApiError(
            404,
            f"the model {name!r} is not served here: use {service.name!r}",
            param="model",
            code="model_not_found",
        )


def chat_row(model: Model, asked: ChatCompletionRequest) -> Row:
    """The conversation as the model sees it.

    Raises:
        ApiError: it is too long.
        ModelError: the template refuses it, its options or its tools.
    """
    options = dict(asked.chat_template_kwargs or {})
    if asked.tools and asked.tool_choice != "none":
        options["tools"] = [tool.model_dump(exclude_none=True) for tool in asked.tools]
    view = model.with_template(**options) if options else model
    row = view.chat([_message(message) for message in asked.messages])
    require_row(model, row)
    return row


def call_format(model: Model, asked: ChatCompletionRequest) -> CallFormat | None:
    """How the model writes calls of the tools that it is told of; None where there are none.

    Raises:
        ModelError: that is not known.
    """
    if not asked.tools or asked.tool_choice == "none":
        return None
    template = model.with_template(**(asked.chat_template_kwargs or {})).template_source
    if not re.search(r"\btools\b", template):
        raise ModelError("this model's chat template takes no tools: leave them out")
    return find_call_format(template)


def answer_constraint(
    service: SteeringService, asked: ChatCompletionRequest, row: Row
) -> Callable[[], TokenConstraint] | None:
    """What holds the answer to JSON; None where it is text.

    Raises:
        ModelError: that cannot be done with this model or schema, or the answer begins with a reasoning.
    """
    schema = asked.schema_of_answer
    if schema is None:
        return None
    tracker = service.model.with_template(**(asked.chat_template_kwargs or {})).tracker(row)
    if tracker is not None and tracker.reasoned:
        raise ModelError(
            "this answer begins with a reasoning, which is no JSON: turn it off, such as with "
            'chat_template_kwargs: {"enable_thinking": false}'
        )
    return service.json_answers.constraint(schema)


def text_rows(model: Model, asked: CompletionRequest) -> list[Row]:
    """The prompts as the model sees them."""
    rows: list[Row] = []
    for prompt in asked.prompts:
        row = model.text(prompt) if isinstance(prompt, str) else Row(tuple(prompt), len(prompt))
        require_row(model, row)
        rows.append(row)
    return rows


def _message(message: RequestMessage) -> ToolMessage:
    role = "system" if message.role == "developer" else message.role
    made: ToolMessage = {"role": role, "content": message.text}
    if message.reasoning_content is not None:
        if role != "assistant":
            raise ModelError("only the assistant has reasoning_content")
        made["reasoning"] = message.reasoning_content
    if message.tool_calls is not None:
        made["tool_calls"] = [call.as_template_takes() for call in message.tool_calls]
    if message.tool_call_id is not None:
        made["tool_call_id"] = message.tool_call_id
    return made


def _with_easysteer(
    service: SteeringService,
    asked: SampledRequest,
    plan: SteeringPlan,
    rows: Sequence[Row],
    limit: int | None,
) -> SteeringPlan:
    """The plan with the edits of a `steering` object."""
    if not asked.steering:
        return plan
    if len(rows) > 1:
        raise ApiError(400, "steering counts the tokens of one prompt: send one at a time", param="steering")
    most = limit or service.limits.max_tokens
    edits = compile_easysteer(asked.steering, service.registry, rows[0], most)
    if len(edits) > service.limits.max_steers:
        raise ApiError(400, f"{service.limits.max_steers} edits are the most", param="steering")
    service.model.check_edits(named.edit for named in edits)
    return replace(plan, edits=tuple(edits), asked=plan.asked or asked.mindscope is not None)


async def _respond(form: _ReplyForm, answers: RequestAnswers) -> Response:
    if form.asked.stream:
        # The first event is waited for, so that what fails at once is a status and not a broken stream.
        chunks = _chunks(form, answers)
        try:
            first = await anext(chunks)
        except (ClientGoneError, StopAsyncIteration):  # it left before or while the first was written
            return Response(status_code=499)
        return StreamingResponse(_joined(first, chunks), media_type="text/event-stream", headers=_NO_BUFFER)
    try:
        ends = await answers.ends()
    except ClientGoneError:
        return Response(status_code=499)  # nobody hears it
    await form.log(dict(enumerate(ends)))
    return JSONResponse(form.whole(ends))


_NO_BUFFER = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def _joined(first: str, chunks: AsyncGenerator[str]) -> AsyncGenerator[str]:
    async with contextlib.aclosing(chunks):
        yield first
        async for chunk in chunks:
            yield chunk


async def _chunks(form: _ReplyForm, answers: RequestAnswers) -> AsyncGenerator[str]:
    """The events of a streamed reply."""
    ends: dict[int, AnswerEnd] = {}
    began: set[int] = set()
    async with contextlib.aclosing(answers.events()) as events:
        try:
            async for event in events:
                if event.choice not in began:
                    began.add(event.choice)
                    if (opening := form.opening(event.choice)) is not None:
                        yield _sse(opening)
                if isinstance(event.what, AnswerPiece):
                    piece = form.certain(event.choice, event.what)
                    if piece.text or piece.logprobs:
                        yield _sse(form.piece(event.choice, piece))
                    continue
                ends[event.choice] = event.what
                await form.log({event.choice: event.what})
                for chunk in form.held(event.choice, event.what):
                    yield _sse(chunk)
                yield _sse(form.last(event.choice, event.what))
        except ApiError as error:
            if not began:
                raise
            yield _sse(error.body())
            return
        except ClientGoneError:
            return
    if form.asked.stream_options is not None and form.asked.stream_options.include_usage:
        yield _sse(form.chunk([], form.usage(list(ends.values()))))
    yield "data: [DONE]\n\n"


def _sse(body: Json) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False, separators=(',', ':'))}\n\n"


@dataclass(frozen=True)
class _ReplyForm(ABC):
    """How the answers of one request are written down."""

    service: SteeringService
    asked: SampledRequest
    plan: SteeringPlan
    id: str
    n_prompt: int

    whole_object: ClassVar[str] = ""
    chunk_object: ClassVar[str] = ""
    operation: ClassVar[str] = ""

    def head(self, kind: str) -> Json:
        """What every reply and chunk begins with."""
        return {
            "id": self.id,
            "object": kind,
            "created": now(),
            "model": self.service.name,
            "system_fingerprint": f"fp_{self.service.model.fingerprint[:12]}",
        }

    def whole(self, ends: Sequence[AnswerEnd]) -> Json:
        """The reply to a request that does not stream."""
        choices = [self.choice(index, end) for index, end in enumerate(ends)]
        return {**self.head(self.whole_object), "choices": choices, "usage": self.usage(ends)}

    def chunk(self, choices: Sequence[Json], usage: Json | None = None) -> Json:
        """One event of a stream."""
        body = {**self.head(self.chunk_object), "choices": list(choices)}
        if self.asked.stream_options is not None and self.asked.stream_options.include_usage:
            body["usage"] = usage
        return body

    def usage(self, ends: Sequence[AnswerEnd]) -> Json:
        """How many tokens passed."""
        written = sum(_n_answer(end) for end in ends)
        return {
            "prompt_tokens": self.n_prompt,
            "completion_tokens": written,
            "total_tokens": self.n_prompt + written,
        }

    async def log(self, ends: Mapping[int, AnswerEnd]) -> None:
        """Keep what was read, before it is told."""
        await self.service.record(self.id, self.plan, ends, self.operation)

    def extra(self, end: AnswerEnd) -> Json:
        """What mindscope has to say, where the client asked for anything."""
        if not self.plan.asked:
            return {}
        return {"mindscope": self.service.reply(self.plan, end).model_dump(mode="json", exclude_none=True)}

    def live(self, piece: AnswerPiece) -> Json:
        """The readings of a piece."""
        if not (self.plan.shows_readings and self.plan.per_token) or piece.readings is None:
            return {}
        readings = {label: short_numbers(piece.readings[:, column]) for column, label in self.plan.labels}
        return {"mindscope": {"readings": readings}}

    def certain(self, _index: int, piece: AnswerPiece) -> AnswerPiece:
        """A piece without the text that cannot be told apart from a call yet."""
        return piece

    def held(self, _index: int, _end: AnswerEnd) -> list[Json]:
        """Chunks of what was held back of an answer that has ended."""
        return []

    @abstractmethod
    def choice(self, index: int, end: AnswerEnd) -> Json:
        """One answer of a reply that is not streamed."""

    @abstractmethod
    def opening(self, index: int) -> Json | None:
        """What is sent before the first piece of an answer."""

    @abstractmethod
    def piece(self, index: int, piece: AnswerPiece) -> Json:
        """A chunk with a piece of an answer."""

    @abstractmethod
    def last(self, index: int, end: AnswerEnd) -> Json:
        """The chunk that ends an answer."""


@dataclass(frozen=True)
class _ChatForm(_ReplyForm):
    calls: CallFormat | None = None
    _texts: dict[int, str] = field(default_factory=dict)  # by choice, what has been written
    _sent: dict[int, int] = field(default_factory=dict)  # and how much of it has been handed on

    operation = "chat"
    whole_object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def choice(self, index: int, end: AnswerEnd) -> Json:
        generation = end.generation
        assert generation is not None
        message: Json = {"role": "assistant", "content": generation.text, "refusal": None}
        if generation.reasoning is not None:
            message["reasoning_content"] = generation.reasoning
        if (called := self._called(end)) is not None:
            message["content"], message["tool_calls"] = called[0] or None, called[1]
        return {
            "index": index,
            "message": message,
            "finish_reason": self._reason(end),
            "logprobs": self._logprobs(end.logprobs) if _asks_logprobs(self.asked) else None,
            **self.extra(end),
        }

    def certain(self, index: int, piece: AnswerPiece) -> AnswerPiece:
        if self.calls is None:
            return piece
        text = self._texts[index] = self._texts.get(index, "") + piece.text
        begin, end = self._sent.get(index, 0), len(text) - self.calls.held(text)
        self._sent[index] = max(begin, end)
        return replace(piece, text=text[begin:end])

    def held(self, index: int, end: AnswerEnd) -> list[Json]:
        if self.calls is None:
            return []
        called = self._called(end)
        text = self._texts.get(index, "") if called is None else called[0]
        deltas: list[Json] = []
        if rest := text[self._sent.get(index, 0) :]:
            deltas.append({"content": rest})
        if called is not None:
            numbered = [{"index": number, **call} for number, call in enumerate(called[1])]
            deltas.append({"tool_calls": numbered})
        return [
            self.chunk([{"index": index, "delta": delta, "logprobs": None, "finish_reason": None}])
            for delta in deltas
        ]

    def _called(self, end: AnswerEnd) -> tuple[str, list[Json]] | None:
        """What an answer says beside its calls, and these."""
        assert isinstance(self.asked, ChatCompletionRequest)
        assert end.generation is not None
        if self.calls is None or end.generation.finish != "stop":
            return None  # a call that was cut is none
        text = self.service.model.decode(end.generation.row.final, special=True)
        called = self.calls.calls(text, [tool.function.name for tool in self.asked.tools or ()])
        return None if called is None else (called[0], self.calls.told(called[1]))

    def _reason(self, end: AnswerEnd) -> Reason:
        return "tool_calls" if self._called(end) is not None else reason_of(end)

    def opening(self, index: int) -> Json:
        delta = {"role": "assistant", "content": "", "refusal": None}
        return self.chunk([{"index": index, "delta": delta, "logprobs": None, "finish_reason": None}])

    def piece(self, index: int, piece: AnswerPiece) -> Json:
        logprobs = self._logprobs(piece.logprobs) if _asks_logprobs(self.asked) else None
        choice = {
            "index": index,
            "delta": {"content": piece.text},
            "logprobs": logprobs,
            "finish_reason": None,
            **self.live(piece),
        }
        return self.chunk([choice])

    def last(self, index: int, end: AnswerEnd) -> Json:
        delta: Json = {}
        if end.generation is not None and end.generation.reasoning is not None:
            delta["reasoning_content"] = end.generation.reasoning
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": self._reason(end)}
        return self.chunk([{**choice, **self.extra(end)}])

    def _logprobs(self, tokens: Sequence[TokenLogprob]) -> Json:
        written = _token_writer(self.service.model)
        content = [
            {
                **_token(written, token.token, token.logprob),
                "top_logprobs": [_token(written, name, logprob) for name, logprob in token.top],
            }
            for token in tokens
        ]
        return {"content": content, "refusal": None}


@dataclass(frozen=True)
class _TextForm(_ReplyForm):
    operation = "text_completion"
    whole_object = "text_completion"
    chunk_object = "text_completion"

    def choice(self, index: int, end: AnswerEnd) -> Json:
        generation = end.generation
        assert generation is not None
        text = (generation.reasoning or "") + generation.text
        logprobs = self._logprobs(end.logprobs) if _asks_logprobs(self.asked) else None
        choice = {"index": index, "text": text, "finish_reason": reason_of(end), "logprobs": logprobs}
        return {**choice, **self.extra(end)}

    def opening(self, index: int) -> None:
        return None

    def piece(self, index: int, piece: AnswerPiece) -> Json:
        logprobs = self._logprobs(piece.logprobs) if _asks_logprobs(self.asked) else None
        choice = {"index": index, "text": piece.text, "finish_reason": None, "logprobs": logprobs}
        return self.chunk([{**choice, **self.live(piece)}])

    def last(self, index: int, end: AnswerEnd) -> Json:
        choice = {"index": index, "text": "", "finish_reason": reason_of(end), "logprobs": None}
        return self.chunk([{**choice, **self.extra(end)}])

    def _logprobs(self, tokens: Sequence[TokenLogprob]) -> Json:
        written = _token_writer(self.service.model)
        texts = [written(token.token) for token in tokens]
        offsets = [sum(map(len, texts[:i])) for i in range(len(texts))]
        return {
            "tokens": texts,
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [
                {written(name): logprob for name, logprob in [*token.top, (token.token, token.logprob)]}
                for token in tokens
            ],
            "text_offset": offsets,
        }


def reason_of(end: AnswerEnd) -> Reason:
    """Why an answer ended, in OpenAI's words."""
    assert end.generation is not None
    match end.generation.finish:
        case "length":
            return "length"
        case "halted":
            return "content_filter"
    return "stop"


def _asks_logprobs(asked: SampledRequest) -> bool:
    if isinstance(asked, ChatCompletionRequest):
        return bool(asked.logprobs)
    return isinstance(asked, CompletionRequest) and asked.logprobs is not None


def _n_answer(end: AnswerEnd) -> int:
    return 0 if end.generation is None else len(end.generation.row) - end.generation.row.prompt_length


def _token_writer(model: Model) -> Callable[[int], str]:
    known: dict[int, str] = {}

    def write(token: int) -> str:
        if token not in known:
            known[token] = model.decode([token])
        return known[token]

    return write


def _token(written: Callable[[int], str], token: int, logprob: float) -> Json:
    text = written(token)
    # A part of a character has no text of its own, and its bytes are not known to the tokenizer's users.
    own = None if "\ufffd" in text else list(text.encode())
    return {"token": text, "logprob": logprob, "bytes": own}

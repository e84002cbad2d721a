"""`/v1/chat/completions` and `/v1/completions`: requests to rows, rows to answers, answers to replies."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from mindscope.errors import ModelError
from mindscope.models import Row
from mindscope.server.api.answering import (
    ClientGoneError,
    RequestAnswers,
    event_line,
    request_id,
    require_row,
    submit_choices,
)
from mindscope.server.api.errors import RESPONSES, ApiError
from mindscope.server.api.replies import ChatReply, CompletionReply
from mindscope.server.api.reply_forms import ChatForm, ReplyForm, TextForm
from mindscope.server.api.requests import (
    ChatCompletionRequest,
    CompletionRequest,
    SampledRequest,
)
from mindscope.server.api.tools import CallFormat, find_call_format
from mindscope.server.compat.easysteer import compile_easysteer
from mindscope.server.engine.answer_job import AnswerEnd, AnswerPiece

if TYPE_CHECKING:
    from mindscope.models import Model, TokenConstraint
    from mindscope.server.plans import SteeringPlan
    from mindscope.server.service import SteeringService

STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}, "text/event-stream": {"schema": {"type": "string"}}}}
}


def build_router(service: SteeringService) -> APIRouter:
    """The routes of one service."""
    router = APIRouter(prefix="/v1", tags=["openai"], responses=RESPONSES)

    @router.post("/chat/completions", response_model=ChatReply, responses=STREAM)
    async def chat_completions(asked: ChatCompletionRequest, http: Request) -> Response:
        """Answer a conversation, steered and watched as `mindscope` says."""
        require_model(service, asked.model)
        plan = service.planner.plan(asked.mindscope)
        calls = call_format(service.model, asked)
        if _is_short(asked):
            row = chat_row(service.model, asked)
        else:
            row = await asyncio.to_thread(chat_row, service.model, asked)
        name = request_id("chatcmpl")
        plan = service.listen(_with_easysteer(service, asked, plan, [row], asked.limit), name)
        n_top = (asked.top_logprobs or 0) if asked.logprobs else None
        answers = RequestAnswers(service, http, streamed=bool(asked.stream))
        constraint = None
        if asked.schema_of_answer is not None:
            constraint = await asyncio.to_thread(answer_constraint, service, asked, row)
        submit_choices(answers, service, [row], asked, plan, asked.limit, n_top, constraint)
        form = ChatForm(service, asked, plan, name, len(row), calls=calls)
        return await _respond(form, answers)

    @router.post("/completions", response_model=CompletionReply, responses=STREAM)
    async def completions(asked: CompletionRequest, http: Request) -> Response:
        """Continue texts, steered and watched as `mindscope` says."""
        require_model(service, asked.model)
        plan = service.planner.plan(asked.mindscope)
        rows = await asyncio.to_thread(text_rows, service.model, asked)
        limit = asked.max_tokens or _COMPLETION_TOKENS
        name = request_id("cmpl")
        plan = service.listen(_with_easysteer(service, asked, plan, rows, limit), name)
        answers = RequestAnswers(service, http, streamed=bool(asked.stream))
        submit_choices(answers, service, rows, asked, plan, limit, asked.logprobs)
        n_prompt = sum(len(row) for row in rows)
        return await _respond(TextForm(service, asked, plan, name, n_prompt), answers)

    return router


_COMPLETION_TOKENS = 16
"""What the older route writes where a request does not say: OpenAI's default."""


_SHORT, _TURN = 4096, 64
"""Characters of a conversation, and what each of its turns adds to them, up to which its row is made at once:
it takes less than a millisecond, as handing it to a thread does, which has to wait for those that compute."""


def _is_short(asked: ChatCompletionRequest) -> bool:
    """Whether a conversation can be made a row without others noticing."""
    if asked.tools or asked.chat_template_kwargs:
        return False
    return (
        sum(_TURN + len(message.text) + len(message.reasoning_content or "") for message in asked.messages)
        < _SHORT
    )


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
    row = view.chat([message.as_template_takes() for message in asked.messages])
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


async def _respond(form: ReplyForm, answers: RequestAnswers) -> Response:
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


async def _chunks(form: ReplyForm, answers: RequestAnswers) -> AsyncGenerator[str]:
    """The events of a streamed reply."""
    ends: dict[int, AnswerEnd] = {}
    began: set[int] = set()
    async with contextlib.aclosing(answers.events()) as events:
        try:
            async for event in events:
                if event.choice not in began:
                    began.add(event.choice)
                    if (opening := form.opening(event.choice)) is not None:
                        yield event_line(opening)
                if isinstance(event.what, AnswerPiece):
                    piece = form.certain(event.choice, event.what)
                    if piece.text or piece.logprobs:
                        yield event_line(form.piece(event.choice, piece))
                    continue
                ends[event.choice] = event.what
                await form.log({event.choice: event.what})
                for chunk in form.held(event.choice, event.what):
                    yield event_line(chunk)
                yield event_line(form.last(event.choice, event.what))
        except ApiError as error:
            if not began:
                raise
            yield event_line(error.body())
            return
        except ClientGoneError:
            return
    if form.asked.stream_options is not None and form.asked.stream_options.include_usage:
        yield event_line(form.chunk([], form.usage(list(ends.values()))))
    yield "data: [DONE]\n\n"

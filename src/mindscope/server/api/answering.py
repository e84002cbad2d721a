"""Jobs of a request: how its rows become answers, and how a handler waits for them or streams them.

The thread that writes calls `loop.call_soon_threadsafe` once a step for all requests. A handler listens on a
queue of its own. That a client has left comes through the same queue, and its jobs are cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mindscope.errors import ModelError
from mindscope.models import GenerationRequest, Sampling
from mindscope.server.api.errors import ApiError, queue_full
from mindscope.server.engine.answer_job import AnswerEnd, AnswerJob, AnswerPiece
from mindscope.server.engine.scheduler import OutOfMemoryError, QueueFullError, call_all

if TYPE_CHECKING:
    from starlette.requests import Request

    from mindscope.models import Model, Row, TokenConstraint
    from mindscope.server.api.requests import SampledRequest
    from mindscope.server.plans import SteeringPlan
    from mindscope.server.service import SteeringService


class ClientGoneError(Exception):
    """Nobody listens any more."""


@dataclass(frozen=True, slots=True)
class AnswerEvent:
    """Something new about one of a request's answers."""

    choice: int
    what: AnswerPiece | AnswerEnd


class LoopDeliverer:
    """Carries listeners' calls from the thread that writes into the event loop, once a step."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop = loop

    def __call__(self, calls: Sequence[Callable[[], object]]) -> None:
        # The loop is closed where the server is being stopped, and then nobody listens.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call_all, calls)


class RequestAnswers:
    """The answers of one request, from `submit` to their ends."""

    def __init__(self, service: SteeringService, http: Request, *, streamed: bool):
        self._service, self._http, self._streamed = service, http, streamed
        self._queue: asyncio.Queue[AnswerEvent | None] = asyncio.Queue()  # None: the client has left
        self.jobs: list[AnswerJob] = []

    def add(
        self,
        row: Row,
        sampling: Sampling,
        plan: SteeringPlan,
        *,
        seed: tuple[int, ...],
        n_top: int | None,
        constraint: Callable[[], TokenConstraint] | None = None,
    ) -> None:
        """One more answer of this request."""
        request = GenerationRequest(
            row,
            sampling,
            seed=seed,
            edits=tuple(named.edit for named in plan.edits),
            n_logprobs=n_top,
            constraint=constraint,
            measures_edits=bool(plan.edits) or _pushes(plan),
        )
        listener = self._listener(len(self.jobs))
        self.jobs.append(AnswerJob(request, listener, self._streamed, plan.watch))

    def submit(self) -> None:
        """Ask for all answers that were added, or for none.

        Raises:
            ApiError: there are too many, or there is no room.
        """
        most = self._service.limits.max_choices
        if len(self.jobs) > most:
            self.jobs = []
            raise ApiError(400, f"{most} answers are the most that one request may ask for", param="n")
        try:
            self._service.scheduler.submit(self.jobs)
        except QueueFullError as full:
            self.jobs = []
            raise queue_full(full.seconds) from full

    async def events(self) -> AsyncGenerator[AnswerEvent]:
        """What is new, until all answers have ended; whatever ends this early cancels the jobs.

        Raises:
            ApiError: an answer failed.
            ClientGoneError: the client left.
        """
        gone = asyncio.create_task(self._wait_until_gone())
        gone.add_done_callback(lambda _: self._queue.put_nowait(None))
        n_open = len(self.jobs)
        try:
            while n_open:
                event = await self._queue.get()
                if event is None:
                    raise ClientGoneError
                if isinstance(event.what, AnswerEnd):
                    n_open -= 1
                    if event.what.error is not None:
                        raise refusal_of(event.what.error)
                yield event
        finally:
            gone.cancel()
            if n_open:
                for job in self.jobs:
                    self._service.scheduler.cancel(job)

    async def ends(self) -> list[AnswerEnd]:
        """All answers, once the last has ended."""
        ends: dict[int, AnswerEnd] = {}
        async with contextlib.aclosing(self.events()) as events:
            async for event in events:
                if isinstance(event.what, AnswerEnd):
                    ends[event.choice] = event.what
        return [ends[choice] for choice in range(len(self.jobs))]

    def _listener(self, choice: int) -> Callable[[AnswerJob, AnswerPiece | AnswerEnd], None]:
        return lambda _job, what: self._queue.put_nowait(AnswerEvent(choice, what))

    async def _wait_until_gone(self) -> None:
        while (await self._http.receive())["type"] != "http.disconnect":
            pass


def refusal_of(error: Exception) -> ApiError:
    """What is answered where an answer failed."""
    if isinstance(error, OutOfMemoryError):
        return ApiError(503, str(error), code="out_of_memory", headers={"Retry-After": "5"})
    if isinstance(error, ModelError):
        return ApiError(400, str(error))
    return ApiError(500, f"the answer failed: {type(error).__name__}", code="internal_error")


def require_row(model: Model, row: Row) -> None:
    """Refuse a row that the model cannot take, before it waits for a slot.

    Raises:
        ApiError: it is empty, too long or has foreign ids.
    """
    room = model.context_length
    if room is not None and len(row) >= room:
        raise ApiError(
            400,
            f"the prompt has {len(row)} tokens and this model takes {room - 1}: shorten it",
            code="context_length_exceeded",
        )
    model.check_rows([row], filled=True, new=1)


def submit_choices(
    answers: RequestAnswers,
    service: SteeringService,
    rows: Sequence[Row],
    asked: SampledRequest,
    plan: SteeringPlan,
    limit: int | None,
    n_top: int | None,
    constraint: Callable[[], TokenConstraint] | None = None,
) -> None:
    """Ask for `n` answers to every row.

    Raises:
        ApiError: too much is asked for, or there is no room.
    """
    if asked.n * len(rows) > service.limits.max_choices:  # before so many are made
        most = service.limits.max_choices
        raise ApiError(400, f"{most} answers are the most that one request may ask for", param="n")
    seed = draw_seed(asked.seed)
    for index, row in enumerate(rows):
        tokens = answer_limit(service, row, limit)
        sampling = Sampling(asked.temperature, asked.top_p, asked.top_k, tokens, stop=asked.stops)
        for choice in range(asked.n):
            key = (seed, index * asked.n + choice)
            answers.add(row, sampling, plan, seed=key, n_top=n_top, constraint=constraint)
    answers.submit()


def draw_seed(asked: int | None) -> int:
    """The seed of a request; one of its own where it names none."""
    return secrets.randbits(63) if asked is None else asked % 2**63


def answer_limit(service: SteeringService, row: Row, limit: int | None) -> int:
    """How many tokens an answer may have."""
    most, room = service.limits.max_tokens, service.model.context_length
    left = most if room is None else room - len(row)
    if limit is None:
        return min(most, left)
    if limit > most:
        raise ApiError(400, f"this server writes at most {most} tokens an answer", param="max_tokens")
    if limit > left:
        raise ApiError(
            400,
            f"the prompt has {len(row)} tokens and {limit} more are asked for, which this model's context of "
            f"{room} does not hold",
            param="max_tokens",
            code="context_length_exceeded",
        )
    return limit


def _pushes(plan: SteeringPlan) -> bool:
    return plan.watch is not None and plan.watch.policy.action == "steer"


def now() -> int:
    """Seconds since 1970."""
    return int(time.time())


def request_id(kind: str) -> str:
    """A name for one reply."""
    return f"{kind}-{secrets.token_hex(12)}"


Json = dict[str, Any]


def event_line(body: dict[str, Any]) -> str:
    """One event of a stream, as it goes over the wire."""
    return f"data: {json.dumps(body, ensure_ascii=False, separators=(',', ':'))}\n\n"

"""What a server does, without the wire: answers made by plan, counted, kept and told of."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mindscope.models import PrefixCache
from mindscope.server.api.errors import ApiError
from mindscope.server.api.fields import FeatureReadings, MindscopeReply
from mindscope.server.descriptions import (
    describe_effects,
    describe_event,
    describe_rate,
    short_number,
    short_numbers,
)
from mindscope.server.engine.answer_job import AnswerEnd
from mindscope.server.engine.json_answers import JsonAnswers
from mindscope.server.engine.registry import VectorRegistry
from mindscope.server.engine.scheduler import AnswerScheduler
from mindscope.server.log.writer import LoggedTurn
from mindscope.server.metrics import ServerMetrics
from mindscope.server.plans import AnswerPlanner, SteeringPlan

if TYPE_CHECKING:
    from mindscope.features import Feature
    from mindscope.models import Model
    from mindscope.monitoring import AlarmEvent, Calibration, Policy
    from mindscope.server.config import ServerLimits
    from mindscope.server.engine.scheduler import Deliver
    from mindscope.server.log.webhook import AlarmWebhook
    from mindscope.server.log.writer import MonitorLog

_logger = logging.getLogger("mindscope.server")


class SteeringService:
    """A model, its vectors, and the thread that answers.

    Args:
        model: who answers.
        limits: what is held at once.
        name: what the model is called in requests.
        registry: the vectors.
        watched: the features that every answer is watched for where there are thresholds, and the default of
            requests that ask to monitor.
        calibration: their thresholds.
        policy: what an alarm does where a request does not say; one that acts cannot be changed by requests.
        log: where turns are kept.
        log_text: whether their texts are.
        webhook: who is told of events.
    """

    def __init__(
        self,
        model: Model,
        limits: ServerLimits,
        *,
        name: str | None = None,
        registry: VectorRegistry | None = None,
        watched: Sequence[Feature] = (),
        calibration: Calibration | None = None,
        policy: Policy | None = None,
        log: MonitorLog | None = None,
        log_text: bool = False,
        webhook: AlarmWebhook | None = None,
    ):
        self.model, self.limits, self.name = model, limits, name or model.name
        self.log, self.log_text, self.webhook = log, log_text, webhook
        self.registry = registry or VectorRegistry(
            model, most=limits.max_vectors, most_bytes=limits.upload_bytes
        )
        self.planner = AnswerPlanner(
            model, limits, self.registry, watched=watched, calibration=calibration, policy=policy
        )
        prefixes = PrefixCache(limits.prefix_tokens) if limits.prefix_tokens else None
        self.scheduler = AnswerScheduler(model, limits, prefixes=prefixes)
        self.metrics = ServerMetrics(self)
        self.json_answers = JsonAnswers(model)
        self.reading = threading.Lock()  # of answers that another server wrote, one at a time

    def start(self, deliver: Deliver | None = None) -> None:
        """Begin to answer.

        Args:
            deliver: how listeners are told; by default in the thread that writes.
        """
        if deliver is not None:
            self.scheduler.deliver = deliver
        for part in (self.log, self.webhook, self.scheduler):
            if part is not None:
                part.start()

    def close(self) -> None:
        """End the thread that writes, and let log and webhook come to their ends."""
        for part in (self.scheduler, self.webhook, self.log):
            if part is not None:
                part.close()

    def listen(self, plan: SteeringPlan, request: str) -> SteeringPlan:
        """The plan of a request whose events are counted, warned of and sent on as they happen."""
        if plan.watch is None or plan.watch.monitor.calibration is None:
            return plan
        names = plan.feature_labels
        action = plan.watch.policy.action

        def hear(event: AlarmEvent) -> None:
            told = describe_event(event, names.get(event.feature))
            self.metrics.count_event(told.feature, told.kind)
            if action == "warn":
                _logger.warning("%s: %s %s its threshold: %g", request, told.feature, told.kind, told.value)
            if self.webhook is not None:
                head = {"request": request, "conversation": plan.conversation, "model": self.name}
                self.webhook.send({**head, "policy": action, "time": time.time(), "event": told.model_dump()})

        return replace(plan, watch=replace(plan.watch, on_event=hear))

    async def record(
        self, request: str, plan: SteeringPlan, ends: Mapping[int, AnswerEnd], operation: str
    ) -> None:
        """Count answers and keep them in the log, before anybody is told of them.

        Args:
            request: the name of the reply.
            plan: what was to be done.
            ends: answers by the number of their choice.
            operation: `chat` or `text_completion`.

        Raises:
            ApiError: the log did not take them.
        """
        for end in ends.values():
            self.metrics.count_answer(end, operation)
        if self.log is None:
            return
        conversation = plan.conversation or request
        turns = [self._logged(f"{request}/{n}", conversation, plan, end) for n, end in ends.items()]
        try:
            await asyncio.gather(*(asyncio.wrap_future(self.log.write(turn)) for turn in turns))
        except Exception as error:
            _logger.exception("the log did not take a turn")
            raise ApiError(
                503, "the log cannot be written, so nothing is answered", code="log_unavailable"
            ) from error

    def _logged(self, name: str, conversation: str, plan: SteeringPlan, end: AnswerEnd) -> LoggedTurn:
        generation, watched = end.generation, end.watched
        assert generation is not None
        reply = self.reply(replace(plan, shows_readings=True, per_token=True), end)
        asked = [
            {
                "vector": one.name,
                "address": one.edit.address,
                "operation": one.edit.op,
                "value": one.edit.value,
            }
            for one in plan.edits
        ]
        applied = [one.model_dump(mode="json") for one in reply.applied]
        n_prompt = generation.row.prompt_length
        turn = {
            "id": name,
            "created": time.time(),
            "model": self.name,
            "fingerprint": self.model.fingerprint,
            "finish": generation.finish,
            "prompt_tokens": n_prompt,
            "answer_tokens": len(generation.row) - n_prompt,
            "first_seconds": end.first_seconds,
            "seconds": end.seconds,
            "policy": None if watched is None else watched.policy.action,
            "pushed_tokens": reply.pushed_tokens,
            "steering": json.dumps({"asked": asked, "applied": applied}),
            "prompt": self.model.decode(generation.row.ids[:n_prompt]) if self.log_text else None,
            "answer": generation.text if self.log_text else None,
        }
        readings = tuple(
            {"feature": name, "before": one.before, "mean": one.mean, "tokens": json.dumps(one.tokens or [])}
            for name, one in (reply.readings or {}).items()
        )
        events = tuple(
            {"number": number, **event.model_dump()} for number, event in enumerate(reply.events or ())
        )
        return LoggedTurn(conversation, turn, readings, events)

    def describe(self, plan: SteeringPlan, end: AnswerEnd) -> dict[str, Any]:
        """The field of a reply with what is said of an answer; none where the client asked for nothing."""
        if not plan.asked:
            return {}
        return {"mindscope": self.reply(plan, end).model_dump(mode="json", exclude_none=True)}

    def reply(self, plan: SteeringPlan, end: AnswerEnd) -> MindscopeReply:
        """What is said of an answer that has ended."""
        generation, watched = end.generation, end.watched
        assert generation is not None
        reply = MindscopeReply(
            applied=describe_effects(plan.edits, end, plan.policy_features),
            reused_tokens=end.n_reused,
            halted=generation.finish == "halted",
        )
        if watched is None or plan.watch is None:
            return reply
        pushed = {position for edit in generation.controller_edits for position in _positions(edit.where)}
        reply = reply.model_copy(update={"policy": watched.policy.action, "pushed_tokens": len(pushed)})
        calibration = plan.watch.monitor.calibration
        if plan.shows_readings:
            table = np.stack(watched.tokens) if watched.tokens else None
            means = None if table is None else table.mean(0)
            lines = None if calibration is None else calibration.thresholds
            readings = {
                label: FeatureReadings(
                    before=None if watched.before is None else short_number(watched.before[column]),
                    mean=None if means is None else short_number(means[column]),
                    tokens=short_numbers(table[:, column]) if plan.per_token and table is not None else None,
                    threshold=None if lines is None else short_number(lines[column].item()),
                )
                for column, label in plan.labels
            }
            reply = reply.model_copy(update={"readings": readings})
        if calibration is not None:
            names = plan.feature_labels
            events = [describe_event(event, names.get(event.feature)) for event in watched.events]
            reply = reply.model_copy(update={"events": events, "rate": describe_rate(calibration)})
        return reply


def _positions(where: object) -> tuple[int, ...]:
    return where if isinstance(where, tuple) else ()

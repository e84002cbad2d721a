"""What a server does, without the wire: plans of steering and watching, and what is said of answers."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mindscope.errors import DataError
from mindscope.features import Direction, FeatureSet
from mindscope.models import PrefixCache
from mindscope.monitoring import LiveMonitor, Policy
from mindscope.server.api.errors import ApiError
from mindscope.server.api.fields import (
    AppliedField,
    EventField,
    FeatureReadings,
    MindscopeFields,
    MindscopeReply,
    MovedField,
    PolicyField,
    RateField,
)
from mindscope.server.engine.json_answers import JsonAnswers
from mindscope.server.engine.registry import NamedEdit, VectorRegistry
from mindscope.server.engine.scheduler import AnswerEnd, AnswerScheduler, AnswerWatch
from mindscope.server.log.writer import LoggedTurn
from mindscope.server.metrics import ServerMetrics

if TYPE_CHECKING:
    from mindscope.features import Feature
    from mindscope.models import Model
    from mindscope.monitoring import AlarmEvent, Calibration
    from mindscope.server.config import ServerLimits
    from mindscope.server.engine.scheduler import Deliver
    from mindscope.server.log.webhook import AlarmWebhook
    from mindscope.server.log.writer import MonitorLog

_logger = logging.getLogger("mindscope.server")

_MONITORS = 64
"""Sets of features that are read without thresholds and remembered: requests share what reads them."""


Labels = tuple[tuple[int, str], ...]
"""What features are called in a reply, by their columns in the monitor."""


@dataclass(frozen=True, slots=True, eq=False)
class SteeringPlan:
    """What is to be done to an answer and read of it.

    Attributes:
        edits: the writes, by the names of their vectors.
        watch: how it is watched; None where it is not.
        labels: what the watched features are called in the reply, by their column in the monitor.
        asked: whether the client asked for any of it, so that the reply says what became of it.
        shows_readings: whether the reply carries readings.
        per_token: whether it carries one for every token.
        conversation: which conversation of the log the turn belongs to.
    """

    edits: tuple[NamedEdit, ...] = ()
    watch: AnswerWatch | None = None
    labels: Labels = ()
    asked: bool = False
    shows_readings: bool = False
    per_token: bool = True
    conversation: str | None = None


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
        self.policy = policy or Policy()
        self.calibration = calibration
        self.monitor = LiveMonitor(FeatureSet(watched), calibration) if watched else None
        self.labels = () if self.monitor is None else short_labels(self.monitor.features)
        prefixes = PrefixCache(limits.prefix_tokens) if limits.prefix_tokens else None
        self.scheduler = AnswerScheduler(model, limits, prefixes=prefixes)
        self.metrics = ServerMetrics(self)
        self.json_answers = JsonAnswers(model)
        self._monitors: OrderedDict[tuple[int | str, ...], tuple[LiveMonitor, Labels]] = OrderedDict()
        self._lock = threading.Lock()
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
        names = self._names(plan)
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

    def _names(self, plan: SteeringPlan) -> dict[str, str]:
        """What the features of a plan's monitor are called in its replies."""
        assert plan.watch is not None
        keys = plan.watch.monitor.features.keys
        return {keys[column]: label for column, label in plan.labels}

    def plan(self, fields: MindscopeFields | None) -> SteeringPlan:
        """What a request asks for, checked.

        Raises:
            ApiError: a policy that would take away what the server does.
            DataError: a name that means nothing, an expression that cannot be read, too many edits.
            ModelError: an edit that does not fit the model.
        """
        asked = fields or MindscopeFields()
        expression = asked.expression()
        edits = tuple(self.registry.edits(expression)) if expression is not None else ()
        if len(edits) > self.limits.max_steers:
            raise DataError(f"{len(edits)} edits in one request: {self.limits.max_steers} are the most")
        self.model.check_edits(named.edit for named in edits)
        watch, labels = self._watch(asked)
        shows = asked.monitor not in (None, False)
        return SteeringPlan(
            edits, watch, labels, fields is not None, shows, asked.readings == "tokens", asked.conversation
        )

    def reply(self, plan: SteeringPlan, end: AnswerEnd) -> MindscopeReply:
        """What is said of an answer that has ended."""
        generation, watched = end.generation, end.watched
        assert generation is not None
        reply = MindscopeReply(
            applied=describe_effects(plan.edits, end, self.policy_features(plan)),
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
            readings = {
                label: FeatureReadings(
                    before=None if watched.before is None else _short(watched.before[column]),
                    mean=None if means is None else _short(means[column]),
                    tokens=short_numbers(table[:, column]) if plan.per_token and table is not None else None,
                    threshold=None if calibration is None else _short(calibration.thresholds[column].item()),
                )
                for column, label in plan.labels
            }
            reply = reply.model_copy(update={"readings": readings})
        if calibration is not None:
            names = self._names(plan)
            events = [describe_event(event, names.get(event.feature)) for event in watched.events]
            reply = reply.model_copy(update={"events": events, "rate": describe_rate(calibration)})
        return reply

    def policy_features(self, plan: SteeringPlan) -> dict[str, Direction]:
        """The directions that the plan's policy may push against, by their labels."""
        if plan.watch is None or plan.watch.policy.action != "steer":
            return {}
        features = plan.watch.monitor.features
        chosen = {label: features[column] for column, label in plan.labels}
        return {label: feature for label, feature in chosen.items() if isinstance(feature, Direction)}

    def _watch(self, asked: MindscopeFields) -> tuple[AnswerWatch | None, Labels]:
        policy = self._policy(asked)
        if isinstance(asked.monitor, list):
            columns = [self._column(name) for name in asked.monitor]
            if all(own is not None for own in columns):
                chosen = tuple(dict.fromkeys(column for own in columns for column in own or ()))
                return self._watch_own(policy, chosen)
            return self._watch_others(asked, policy)
        if asked.monitor is True and self.monitor is None:
            raise DataError("this server watches nothing by itself: name the vectors to monitor")
        if self.monitor is None or (asked.monitor is not True and self.calibration is None):
            if policy.action != "log":
                raise DataError(f"the policy {policy.action!r} needs thresholds: this server has none")
            return None, ()
        return self._watch_own(policy, tuple(range(len(self.labels))))

    def _watch_own(self, policy: Policy, columns: tuple[int, ...]) -> tuple[AnswerWatch, Labels]:
        """By the server's own monitor. Where its policy acts, all features are watched, and some are told."""
        assert self.monitor is not None
        labels = tuple((column, self.labels[column]) for column in columns)
        everything = tuple(range(len(self.labels)))
        watched = everything if self.calibration is not None and self.policy.action != "log" else columns
        if self.calibration is None and policy.action != "log":
            raise DataError(f"the policy {policy.action!r} needs thresholds: this server has none")
        return AnswerWatch(self.monitor, policy, watched), labels

    def _watch_others(self, asked: MindscopeFields, policy: Policy) -> tuple[AnswerWatch, Labels]:
        """By a monitor of features that have no thresholds."""
        assert isinstance(asked.monitor, list)
        if self.calibration is not None:
            unknown = ", ".join(name for name in asked.monitor if self._column(name) is None)
            raise DataError(
                f"{unknown} has no thresholds here, and this server holds every answer against its own: "
                f"monitor some of {', '.join(self.labels)}"
            )
        if policy.action != "log":
            raise DataError(f"the policy {policy.action!r} needs thresholds: this server has none")
        key = (self.registry.version, *dict.fromkeys(asked.monitor))
        with self._lock:
            known = self._monitors.get(key)
            if known is None:
                names = key[1:]
                features = FeatureSet([feature for name in names for feature in self.registry.features(name)])
                known = self._monitors[key] = LiveMonitor(features), tuple(enumerate(short_labels(features)))
                while len(self._monitors) > _MONITORS:
                    self._monitors.popitem(last=False)
            self._monitors.move_to_end(key)
        monitor, labels = known
        return AnswerWatch(monitor, policy, tuple(range(len(labels)))), labels

    def _policy(self, asked: MindscopeFields) -> Policy:
        wanted = asked.policy
        if wanted is None:
            return self.policy
        field = wanted if isinstance(wanted, PolicyField) else PolicyField(action=wanted)
        policy = Policy(field.action, field.coefficient)
        if self.policy.acts and policy != self.policy:
            raise ApiError(
                403,
                f"this server's policy is {self.policy.action}, and a request cannot change it",
                param="mindscope.policy",
                code="policy_fixed",
            )
        return policy

    def _column(self, name: str) -> tuple[int, ...] | None:
        """The columns of the server's own monitor that a name means."""
        if self.monitor is None:
            return None
        keys = self.monitor.features.keys
        found = [i for i, label in enumerate(self.labels) if name in (label, keys[i], _trait(keys[i]))]
        return tuple(found) or None


def short_labels(features: FeatureSet) -> tuple[str, ...]:
    """What features are called in replies: their traits where these differ, else their keys."""
    traits = [_trait(key) for key in features.keys]
    return tuple(
        trait if traits.count(trait) == 1 else key for trait, key in zip(traits, features.keys, strict=True)
    )


def describe_event(event: AlarmEvent, label: str | None = None) -> EventField:
    """An event as it goes over the wire."""
    return EventField(
        kind=event.kind,
        feature=label or event.feature,
        token=event.token,
        value=_short(event.value),
        level=_short(event.level),
    )


def describe_rate(calibration: Calibration) -> RateField:
    """What alarms are worth."""
    low, high = calibration.interval
    return RateField(
        false_alarms=calibration.rate,
        over=calibration.over,
        low=low,
        high=high,
        conversations=len(calibration),
    )


def describe_effects(
    edits: Sequence[NamedEdit], end: AnswerEnd, pushes: dict[str, Direction]
) -> list[AppliedField]:
    """What was measured at every place, along each vector that was to be written there."""
    fields: list[AppliedField] = []
    for effect in end.effects:
        moved: dict[str, MovedField] = {}
        vectors = {named.name: named.edit.vector for named in edits if named.edit.address == effect.address}
        vectors |= {name: one.vector for name, one in pushes.items() if one.address == effect.address}
        for name, vector in vectors.items():
            norm = vector.float().norm()
            along = effect.mean_change((vector.float() / norm).cpu())
            if along is not None:
                moved[name] = MovedField(along=_short(along), norm=_short(norm.item()))
        fields.append(
            AppliedField(
                address=effect.address,
                prompt_tokens=effect.n_prompt,
                answer_tokens=effect.n_answer,
                moved=moved,
            )
        )
    return fields


def _trait(key: str) -> str:
    """`evil` of `evil/answer_mean@resid_post.2`, and the whole name of what has no kind."""
    name = key.rpartition("@")[0]
    for kind in ("answer_mean", "prompt_mean", "last_prompt"):
        name = name.removesuffix(f"/{kind}")
    return name


def _positions(where: object) -> tuple[int, ...]:
    return where if isinstance(where, tuple) else ()


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def short_numbers(values: np.ndarray) -> list[float]:
    """A column of readings to four digits, which are all that JSON then spells; formatted in one go."""
    numbers = values.tolist()
    return [float(text) for text in ("%.4g " * len(numbers) % tuple(numbers)).split()]

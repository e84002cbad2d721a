"""What a request asks to be done to its answers and read of them, checked."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mindscope.errors import DataError
from mindscope.features import Direction, FeatureSet
from mindscope.monitoring import LiveMonitor, Policy
from mindscope.server.api.errors import ApiError
from mindscope.server.api.fields import MindscopeFields, PolicyField
from mindscope.server.engine.answer_job import AnswerWatch
from mindscope.server.engine.registry import NamedEdit, VectorRegistry

if TYPE_CHECKING:
    from mindscope.features import Feature
    from mindscope.models import Model
    from mindscope.monitoring import Calibration
    from mindscope.server.config import ServerLimits

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

    @property
    def feature_labels(self) -> dict[str, str]:
        """What the monitor's features are called in the reply, by their keys."""
        assert self.watch is not None
        keys = self.watch.monitor.features.keys
        return {keys[column]: label for column, label in self.labels}

    @property
    def policy_features(self) -> dict[str, Direction]:
        """The directions that the policy may push against, by their labels."""
        if self.watch is None or self.watch.policy.action != "steer":
            return {}
        features = self.watch.monitor.features
        chosen = {label: features[column] for column, label in self.labels}
        return {label: feature for label, feature in chosen.items() if isinstance(feature, Direction)}


class AnswerPlanner:
    """Turns requests into plans.

    Args:
        model: who answers.
        limits: what is held at once.
        registry: the vectors.
        watched: the features that every answer is watched for where there are thresholds, and the default of
            requests that ask to monitor.
        calibration: their thresholds.
        policy: what an alarm does where a request does not say; one that acts cannot be changed by requests.
    """

    def __init__(
        self,
        model: Model,
        limits: ServerLimits,
        registry: VectorRegistry,
        *,
        watched: Sequence[Feature] = (),
        calibration: Calibration | None = None,
        policy: Policy | None = None,
    ):
        self.model, self.limits, self.registry = model, limits, registry
        self.policy = policy or Policy()
        self.calibration = calibration
        self.monitor = LiveMonitor(FeatureSet(watched), calibration) if watched else None
        self.labels = () if self.monitor is None else short_labels(self.monitor.features)
        self._monitors: OrderedDict[tuple[int | str, ...], tuple[LiveMonitor, Labels]] = OrderedDict()
        self._lock = threading.Lock()

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


def _trait(key: str) -> str:
    """`evil` of `evil/answer_mean@resid_post.2`, and the whole name of what has no kind."""
    name = key.rpartition("@")[0]
    for kind in ("answer_mean", "prompt_mean", "last_prompt"):
        name = name.removesuffix(f"/{kind}")
    return name

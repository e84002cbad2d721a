"""Watching features: over recorded conversations, or while a model answers, with a say in how it goes on."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import get_args

import torch
from torch import Tensor

from mindscope.core import Progress, with_label
from mindscope.engines import Engine
from mindscope.errors import DataError
from mindscope.features import FIRST, Engines, Feature, FeatureSet
from mindscope.models import Edit, Edits, Generation, Read, Row, RowAction, Sampling, Where
from mindscope.monitoring.alarms import AlarmTracker, alarm_events, crossed
from mindscope.monitoring.calibration import Calibration
from mindscope.monitoring.config import AlarmAction
from mindscope.monitoring.projections import ProjectedTurn, Talk, TurnProjections, project_turns
from mindscope.monitoring.results import AlarmEvent, MonitoredAnswer

_WATCHED: tuple[Where, ...] = ("last_prompt", "final")
"""What is read of an answer, in this order: reasoning before the final answer is not watched."""

ACTIONS: tuple[AlarmAction, ...] = get_args(AlarmAction)


class MonitorWarning(UserWarning):
    """A feature crossed its threshold, and the policy is to say so."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What happens when a feature crosses its threshold.

    - `log`: the events are in the result.
    - `warn`: each is a `MonitorWarning` too.
    - `stop`: the answer ends there.
    - `steer`: every token from the next on is pushed against the feature (a direction: h - coefficient * v)
      until its signal is below the recovery level. The signal is what the model does by itself: the push's
      own part at the feature's address is not in it. So an alarm ends because the model went on to
      something else, and not because the push hides it.
    """

    action: AlarmAction = "log"
    coefficient: float | int = 1.0

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise DataError(f"no policy {self.action!r}: use one of {', '.join(ACTIONS)}")
        if not 0 < self.coefficient < float("inf"):
            raise DataError(f"the coefficient to steer against is above 0, not {self.coefficient}")

    @property
    def acts(self) -> bool:
        """Whether it changes answers, which takes answers that are being written."""
        return self.action in ("stop", "steer")


@dataclass(frozen=True, eq=False)
class MonitoredConversation:
    """What a monitor saw of a conversation.

    Attributes:
        trace: every reading. Under steering these are of the activations before the monitor's own push.
        events: crossings and recoveries, in order.
        generation: the answer, if it was written under watch.
    """

    trace: TurnProjections
    events: tuple[AlarmEvent, ...] = ()
    generation: Generation | None = None

    @property
    def alarms(self) -> dict[str, AlarmEvent]:
        """The first crossing of every feature that had one."""
        return crossed(self.events)

    @property
    def steered(self) -> int:
        """How many tokens went through the model under a push."""
        pushed = self.generation.controller_edits if self.generation is not None else ()
        return len({position for edit in pushed if isinstance(edit.where, tuple) for position in edit.where})

    @property
    def answer(self) -> MonitoredAnswer | None:
        """The answer that was written under watch, if it was."""
        if self.generation is None:
            return None
        return MonitoredAnswer(text=self.generation.text, finish=self.generation.finish, steered=self.steered)

    def _repr_html_(self) -> str:
        rows = "".join(f"<li>{escape(str(event))}</li>" for event in self.events)
        return f"<p>{len(self.trace.turns)} turns, {len(self.alarms)} features in alarm</p><ul>{rows}</ul>"


class Monitor:
    """A set of features with thresholds and a policy.

        monitor = Monitor([vectors.direction(12)], calibration, Policy("steer", 1.5))
        for seen in monitor.generate(model, rows, Sampling(max_new_tokens=200)):
            print(seen.generation.text, seen.events)

    Without a calibration it reads and raises no alarms.

    Raises:
        DataError: the calibration is of other features, or the policy needs one.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        calibration: Calibration | None = None,
        policy: Policy | None = None,
        *,
        on_event: Callable[[int, AlarmEvent], object] | None = None,
    ) -> None:
        self.features = features if isinstance(features, FeatureSet) else FeatureSet(features)
        self.calibration, self.policy = calibration, policy or Policy()
        self.on_event = on_event
        """Called with (conversation or row, event) when it happens."""
        if calibration is not None:
            calibration.require(self.features)
        elif self.policy.action != "log":
            raise DataError(f"the policy {self.policy.action!r} needs thresholds: calibrate first")

    def read(
        self,
        models: Engines,
        conversations: Sequence[Talk],
        *,
        progress: Progress | None = None,
    ) -> list[MonitoredConversation]:
        """Watch recorded conversations; features of several models need all of these.

        Raises:
            DataError: what `trace` says, or a policy that acts on answers, which are written already here.
        """
        if self.policy.acts:
            raise DataError(
                f"the policy {self.policy.action!r} acts on answers while they are written, and these are "
                "recorded: use log or warn, or let the model answer"
            )
        watched: list[MonitoredConversation] = []
        traces = project_turns(models, self.features, conversations, progress=progress)
        for number, trace in enumerate(traces):
            events = alarm_events(self.calibration, trace) if self.calibration is not None else ()
            self.tell(number, events)
            watched.append(MonitoredConversation(trace, events))
        return watched

    def generate(
        self,
        model: Engine,
        rows: Sequence[Row],
        sampling: Sampling | None = None,
        *,
        edits: Edits | None = None,
        seeds: Sequence[int] | None = None,
        batch_rows: int = 64,
        progress: Progress | None = None,
        on_token: Callable[[int, int, str], object] | None = None,
    ) -> list[MonitoredConversation]:
        """Let a model answer under watch: read in the same passes that write, act as the policy says.

        Rows are independent: a push or a stop in one changes no other. A push leaves no hook behind.
        Arguments are those of `Model.generate`; each result holds one turn, of the answer written here.

        Raises:
            DataError: the features are of another model, or of several, of which only one answers.
            ModelError: what `Model.generate` says.
        """
        if len(self.features.models) > 1:
            raise DataError(
                "features of several models cannot be read while one of them answers: read the finished "
                "conversation with Monitor.read"
            )
        self.features.match(model)
        model.capabilities.require("watching answers while they are written", "reads", "controllers")
        if self.calibration is not None:
            self.calibration.require_template(model)
        controller = _MonitorController(self)
        generations = model.generate(
            rows,
            sampling or Sampling(),
            edits=edits,
            seeds=seeds,
            batch_rows=batch_rows,
            progress=with_label(progress, "answering"),
            on_token=on_token,
            controller=controller,
        )
        return [controller.watched(index, generation, model) for index, generation in enumerate(generations)]

    def tell(self, number: int, new: Sequence[AlarmEvent]) -> None:
        """Say what happened in a conversation or row: to `on_event`, and in warnings if the policy is to."""
        for event in new:
            if self.policy.action == "warn" and event.kind == "crossed":
                warnings.warn(f"conversation {number}: {event}", MonitorWarning, stacklevel=3)
            if self.on_event is not None:
                self.on_event(number, event)


class _MonitorController:
    """A monitor's part in a call of `generate`: the controller of its rows."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._features = monitor.features
        self._against: list[Edit] = []
        if monitor.policy.action == "steer":
            push = -monitor.policy.coefficient
            self._against = [feature.edit(push, where="all") for feature in monitor.features]
        self._last_prompts: dict[int, Tensor] = {}
        self._tokens: dict[int, list[Tensor]] = {}
        self._watches: dict[int, AlarmTracker] = {}
        self._events: dict[int, list[AlarmEvent]] = {}

    @property
    def reads(self) -> Mapping[str, Read]:
        return {
            f"{where}/{name}": read
            for where in _WATCHED
            for name, read in self._features.build_reads(where, FIRST).items()
        }

    def step(self, seen: Mapping[int, Mapping[str, Tensor]]) -> Mapping[int, RowAction]:
        """Takes in the last prompt token of a row, and the tokens of its final answer as they come."""
        commands: dict[int, RowAction] = {}
        for row, read in seen.items():
            new: list[AlarmEvent] = []
            for where in _WATCHED:
                own = {
                    name.removeprefix(f"{where}/"): values
                    for name, values in read.items()
                    if name.startswith(f"{where}/")
                }
                if own:
                    new += self._take(row, where, self._features.assemble(own))
            self._monitor.tell(row, new)
            command = self._command(row, new)
            if command is not None:
                commands[row] = command
        return commands

    def watched(self, row: int, generation: Generation, model: Engine) -> MonitoredConversation:
        n_final = len(generation.row.final)
        empty = torch.zeros(0, len(self._features))
        tokens = torch.cat([empty, *self._tokens.get(row, ())])[:n_final]
        if len(tokens) < n_final:
            # The first tokens of an answer that might have begun with a reasoning are read afterwards.
            (tokens,) = self._features.read(model, [generation.row], where="final")
        turn = ProjectedTurn(generation.row, self._last_prompts[row].clone(), tokens.clone())
        if row in self._watches:
            last = self._watches[row].end()
            self._monitor.tell(row, last)
            self._events[row] += last
        # A stop string is cut off after its tokens were read; what happened in them did not happen.
        kept = tuple(
            event for event in self._events.get(row, ()) if event.token is None or event.token < n_final
        )
        return MonitoredConversation(TurnProjections(self._features.keys, (turn,)), kept, generation)

    def _take(self, row: int, where: Where, values: Tensor) -> list[AlarmEvent]:
        if where == "last_prompt":
            self._last_prompts[row] = values[0]
        else:
            self._tokens.setdefault(row, []).append(values)
        if self._monitor.calibration is None:
            return []
        watch = self._watches.setdefault(row, AlarmTracker(self._monitor.calibration))
        take = watch.begin if where == "last_prompt" else watch.token
        new = [event for token in values for event in take(token)]
        self._events.setdefault(row, []).extend(new)
        return new

    def _command(self, row: int, new: Sequence[AlarmEvent]) -> RowAction | None:
        if not new:
            return None
        raised = self._watches[row].alarms.raised
        if self._monitor.policy.action == "stop" and any(raised):
            return RowAction(stop=True)
        if self._monitor.policy.action == "steer":
            pushes: tuple[Edit, ...] = tuple(
                edit for edit, up in zip(self._against, raised, strict=True) if up
            )
            return RowAction(edits=pushes)
        return None

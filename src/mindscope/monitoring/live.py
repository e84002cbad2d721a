"""Watching the answers of a running batch: one controller for all who watch the same features.

`Monitor.generate` answers a closed list of rows. Behind a server answers come and go, and each has features,
thresholds and a policy of its own. What is read is the same for all of them, so one controller reads it:

1. The readings of a step are taken for all rows at once, `[rows, features]`.
2. They go into the trailing windows of the rows, `[lines, window, features]`; a line is a watched answer.
3. The windows' means are held against the thresholds for all rows at once. Only where something changes, and
   the answer watches that feature, is there an event, and its policy is asked.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mindscope.errors import DataError
from mindscope.features import FIRST, FeatureSet
from mindscope.models import Edit, Generation, Model, Read, ReadTable, Row, RowAction, SeenTokens
from mindscope.monitoring.calibration import Calibration
from mindscope.monitoring.monitor import Policy
from mindscope.monitoring.results import AlarmEvent

_PASSES_A_LOOK = 8
"""Passes whose readings are taken up together where nobody waits for them: a look costs what reading does."""

OnEvent = Callable[[AlarmEvent], object]

_FINAL, _BEFORE = "final", "last_prompt"


class WatchedAnswer:
    """One answer under watch.

    Attributes:
        policy: what its alarms do.
        columns: which of the monitor's features it watches, as their indices.
        before: `[features]`, the readings at the prompt's last token; None until it has passed.
        tokens: `[features]` each, the readings at the tokens of the final answer so far.
        events: crossings and recoveries so far.
        raised: `[features]`, which are in alarm.
        live: whether somebody looks at the readings before the answer has ended.
    """

    def __init__(
        self,
        policy: Policy,
        columns: Sequence[int],
        n_features: int,
        on_event: OnEvent | None,
        *,
        live: bool = True,
    ):
        self.live = live
        self.policy, self.columns, self.on_event = policy, tuple(columns), on_event
        self.before: np.ndarray | None = None
        self.tokens: list[np.ndarray] = []
        self.events: list[AlarmEvent] = []
        self.raised = np.zeros(n_features, bool)
        self.line = -1


class LiveMonitor:
    """The controller of all requests that watch some of these features.

        monitor = LiveMonitor(features, calibration)
        monitor.watch(7, Policy("stop"))
        batch.admit(GenerationRequest(row, index=7, controller=monitor))
        ...  # until the request is retired
        seen = monitor.finish(7, generation, model)

    Without a calibration it reads and raises no alarms.

    Raises:
        DataError: the calibration is of other features, or they are of several models.
    """

    def __init__(self, features: FeatureSet, calibration: Calibration | None = None):
        if len(features.models) > 1:
            raise DataError("features of several models cannot be read while one of them answers")
        if calibration is not None:
            calibration.require(features)
        self.features, self.calibration = features, calibration
        reads = {where: features.build_reads(where, FIRST) for where in (_BEFORE, _FINAL)}
        self._reads = {f"{where}/{name}": read for where in reads for name, read in reads[where].items()}
        self._names = {where: {name: f"{where}/{name}" for name in reads[where]} for where in reads}
        self._answers: dict[int, WatchedAnswer] = {}
        self._n_live = 0
        self._window = 1 if calibration is None else calibration.signal.window
        self._rings = np.zeros((0, self._window, len(features)))  # lines x window x features
        self._counts = np.zeros(0, np.int64)
        self._raised = np.zeros((0, len(features)), bool)
        self._watched = np.zeros((0, len(features)), bool)
        self._free: list[int] = []
        if calibration is not None:
            self._up, self._down = calibration.thresholds.numpy(), calibration.recovery.numpy()

    @property
    def reads(self) -> Mapping[str, Read]:
        return self._reads

    @property
    def look_every(self) -> int:
        """Passes between looks: 1 where there are thresholds, or where somebody waits for readings."""
        return 1 if self._n_live or self.calibration is not None else _PASSES_A_LOOK

    @property
    def n_watched(self) -> int:
        """How many answers are being watched."""
        return len(self._answers)

    def watch(
        self,
        index: int,
        policy: Policy,
        columns: Sequence[int] | None = None,
        on_event: OnEvent | None = None,
        *,
        live: bool = True,
    ) -> WatchedAnswer:
        """Begin to watch the request of this index.

        Args:
            index: the request's.
            policy: what alarms do.
            columns: which of the features are watched; None for all.
            on_event: told of crossings and recoveries.
            live: whether readings are wanted token by token, and not only once the answer has ended.

        Raises:
            DataError: the policy needs thresholds and there are none.
        """
        if self.calibration is None and policy.action != "log":
            raise DataError(f"the policy {policy.action!r} needs thresholds: start with --thresholds")
        chosen = range(len(self.features)) if columns is None else columns
        answer = WatchedAnswer(policy, chosen, len(self.features), on_event, live=live)
        self._n_live += live
        if not self._free:
            self._grow()
        answer.line = self._free.pop()
        self._counts[answer.line] = 0
        self._raised[answer.line] = False
        self._watched[answer.line] = np.isin(np.arange(len(self.features)), answer.columns)
        self._answers[index] = answer
        return answer

    def forget(self, index: int) -> WatchedAnswer | None:
        """Stop watching a request, whatever its state."""
        answer = self._answers.pop(index, None)
        if answer is not None:
            self._free.append(answer.line)
            self._n_live -= answer.live
        return answer

    def finish(self, index: int, generation: Generation, model: Model) -> WatchedAnswer:
        """Stop watching a request that has ended; what was read of tokens that were cut is left out."""
        answer = self._answers[index]
        n_final = len(generation.row.final)
        del answer.tokens[n_final:]
        if len(answer.tokens) < n_final and generation.finish != "cancelled":
            # The first tokens of an answer that might have begun with a reasoning are read afterwards.
            (table,) = self.features.read(model, [generation.row], where="final")
            answer.tokens = list(table.numpy())
        n_tokens = int(self._counts[answer.line])
        if self._follows_answer and 0 < n_tokens < self._window:
            mean = self._rings[answer.line, :n_tokens].mean(0)
            self._take([answer], mean[None], [n_tokens - 1])
        answer.events = [event for event in answer.events if event.token is None or event.token < n_final]
        self.forget(index)
        return answer

    def read(
        self,
        model: Model,
        row: Row,
        policy: Policy,
        columns: Sequence[int] | None = None,
        on_event: OnEvent | None = None,
    ) -> WatchedAnswer:
        """Watch an answer that is written already, token by token as if it were being written."""
        reads = {where: self.features.read(model, [row], where=where)[0] for where in (_BEFORE, _FINAL)}
        index = min([0, *self._answers]) - 1
        answer = self.watch(index, policy, columns, on_event)
        for where in (_BEFORE, _FINAL):
            for values in reads[where].double().numpy():
                self._follow(where, [answer], values[None])
        return self.finish(index, Generation(row, "", "stop"), model)

    def step(self, seen: SeenTokens) -> Mapping[int, RowAction]:
        """Take in the readings of one pass; see `models.Controller`."""
        changed: dict[int, WatchedAnswer] = {}
        for where, names in self._names.items():
            if all(name in seen.tables for name in names.values()):
                changed |= self._take_readings(where, {name: seen.tables[key] for name, key in names.items()})
        return {row: action for row, answer in changed.items() if (action := self._action(answer))}

    def _take_readings(self, where: str, tables: Mapping[str, ReadTable]) -> dict[int, WatchedAnswer]:
        """The answers whose alarms change. All reads are of the same tokens."""
        values = self.features.assemble({name: table.values for name, table in tables.items()})
        table = values.numpy().astype(np.float64)  # tokens of all rows x features
        rows, counts = (first := next(iter(tables.values()))).rows, first.counts
        if len(table) == len(rows):  # one new token of each row
            answers = [self._answers[row] for row in rows if row in self._answers]
            if len(answers) == len(rows):
                return {rows[i]: answers[i] for i in self._follow(where, answers, table)}
        starts = np.cumsum(counts) - counts
        if where == _FINAL and not self._follows_answer:  # nothing happens at any token
            for row, own in zip(rows, np.split(table, starts[1:]), strict=True):
                if row in self._answers:
                    self._answers[row].tokens.extend(own)
            return {}
        changed: dict[int, WatchedAnswer] = {}
        for place in range(counts.max()):
            # The place-th new token of every row that has one.
            chosen = [i for i, row in enumerate(rows) if place < counts[i] and row in self._answers]
            answers = [self._answers[rows[i]] for i in chosen]
            for i in self._follow(where, answers, table[starts[chosen] + place]):
                changed[rows[chosen[i]]] = answers[i]
        return changed

    def _follow(self, where: str, answers: Sequence[WatchedAnswer], table: np.ndarray) -> list[int]:
        """Take in one token of some answers; the indices of those whose alarms change."""
        if where == _BEFORE:
            for answer, values in zip(answers, table, strict=True):
                answer.before = values
            if self.calibration is None or self._follows_answer:
                return []
            return self._take(answers, table, [None] * len(answers))
        for answer, values in zip(answers, table, strict=True):
            answer.tokens.append(values)
        if not self._follows_answer:
            return []
        lines = np.array([answer.line for answer in answers])
        self._rings[lines, self._counts[lines] % self._window] = table
        self._counts[lines] += 1
        ready = np.flatnonzero(self._counts[lines] >= self._window)
        if not len(ready):
            return []
        means = self._rings[lines[ready]].mean(1)
        tokens = (self._counts[lines[ready]] - 1).tolist()
        hit = self._take([answers[i] for i in ready.tolist()], means, tokens)
        return [int(ready[i]) for i in hit]

    def _take(
        self, answers: Sequence[WatchedAnswer], signal: np.ndarray, tokens: Sequence[int | None]
    ) -> list[int]:
        """Hold `[answers, features]` against the thresholds; the indices of answers with an event."""
        lines = [answer.line for answer in answers]
        flips = np.where(self._raised[lines], signal < self._down, signal > self._up) & self._watched[lines]
        hit = np.flatnonzero(flips.any(1)).tolist()
        for i in hit:
            answer = answers[i]
            for column in np.flatnonzero(flips[i]).tolist():
                was = bool(answer.raised[column])
                answer.raised[column] = self._raised[answer.line, column] = not was
                event = AlarmEvent(
                    kind="recovered" if was else "crossed",
                    feature=self.features.keys[column],
                    turn=0,
                    token=tokens[i],
                    value=float(signal[i, column]),
                    level=float(self._down[column] if was else self._up[column]),
                )
                answer.events.append(event)
                if answer.on_event is not None:
                    answer.on_event(event)
        return hit

    def _action(self, answer: WatchedAnswer) -> RowAction | None:
        if answer.policy.action == "stop" and answer.raised.any():
            return RowAction(stop=True)
        if answer.policy.action == "steer":
            push = -answer.policy.coefficient
            pushes: tuple[Edit, ...] = tuple(
                self.features[column].edit(push, where="all")
                for column in np.flatnonzero(answer.raised).tolist()
            )
            return RowAction(edits=pushes)
        return None

    @property
    def _follows_answer(self) -> bool:
        return self.calibration is not None and self.calibration.signal.at == "answer"

    def _grow(self) -> None:
        n_lines = len(self._counts)
        more = max(8, n_lines)
        self._rings = np.concatenate([self._rings, np.zeros((more, *self._rings.shape[1:]))])
        self._counts = np.concatenate([self._counts, np.zeros(more, np.int64)])
        blank = np.zeros((more, len(self.features)), bool)
        self._raised = np.concatenate([self._raised, blank])
        self._watched = np.concatenate([self._watched, blank])
        self._free += range(n_lines, n_lines + more)

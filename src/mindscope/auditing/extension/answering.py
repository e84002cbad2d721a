"""The thread that writes the answers of all calls: one running batch that they join and leave.

Inspect asks for many answers at once from one event loop, and a model passes one batch at a time.

1. `submit` puts a call into the inbox and hands back a future; the thread admits what lies there.
2. A step writes a token of every answer; the monitors look on.
3. What has ended resolves its future, with what was seen of it. A call whose future was cancelled leaves the
   batch at the next step.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from mindscope.errors import ModelError
from mindscope.models import DecodingBatch, GenerationRequest

if TYPE_CHECKING:
    from mindscope.models import EditEffect, Generation, GenerationHandle, Model, TokenLogprob
    from mindscope.monitoring import LiveMonitor, Policy, WatchedAnswer


@dataclass(frozen=True, slots=True)
class CallWatch:
    """By which monitor an answer is watched, and what an alarm does."""

    monitor: LiveMonitor
    policy: Policy
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """An answer with what its edits did and its monitor saw."""

    generation: Generation
    effects: tuple[EditEffect, ...]
    logprobs: tuple[TokenLogprob, ...]
    watched: WatchedAnswer | None


@dataclass(eq=False)
class _OpenCall:
    request: GenerationRequest
    watch: CallWatch | None
    future: Future[CallAnswer] = field(default_factory=Future)
    handle: GenerationHandle | None = None


class AnswerThread:
    """Writes answers side by side, in a thread that begins with the first call.

    Args:
        model: who answers.
        slots: the most answers that are written at once; others wait.
    """

    passing: ClassVar[threading.RLock] = threading.RLock()
    """Held while anything is computed or a model is loaded: loading changes, for all threads, the precision
    that torch makes new tensors in."""

    def __init__(self, model: Model, slots: int):
        self.model, self.slots = model, slots
        self._indices = itertools.count()
        self._inbox: deque[_OpenCall] = deque()
        self._open: dict[int, _OpenCall] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._batch = self._new_batch()

    def submit(self, request: GenerationRequest, watch: CallWatch | None = None) -> Future[CallAnswer]:
        """Ask for an answer. The future raises what was wrong with this call, and no other's fault."""
        call = _OpenCall(request, watch)
        with self._changed:
            if self._closing:
                raise ModelError("the model was closed: get it again")
            self._inbox.append(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mindscope-calls", daemon=True)
                self._thread.start()
            self._changed.notify()
        return call.future

    def close(self) -> None:
        """End the thread; calls that are open are cancelled."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._inbox or self._batch.busy or self._closing):
                    self._changed.wait()
                waiting = list(self._inbox)
                self._inbox.clear()
                closing = self._closing
            if closing:
                break
            with self.passing:
                for call in waiting:
                    self._admit(call)
                self._step()
        for call in [*self._open.values(), *waiting]:
            call.future.cancel()
        self._open.clear()

    def _admit(self, call: _OpenCall) -> None:
        if call.future.cancelled():
            return
        index = next(self._indices)
        controller = None if call.watch is None else call.watch.monitor
        try:
            call.handle = self._batch.admit(replace(call.request, index=index, controller=controller))
            if call.watch is not None:
                call.watch.monitor.watch(index, call.watch.policy, call.watch.columns)
        except Exception as error:  # noqa: BLE001 - whose call it was gets it back
            if call.handle is not None:
                self._batch.cancel(call.handle)
            _fail(call, error)
            return
        self._open[index] = call

    def _step(self) -> None:
        for call in self._open.values():
            if call.future.cancelled() and call.handle is not None:
                self._batch.cancel(call.handle)
        try:
            self._batch.step()
        except Exception as error:  # noqa: BLE001 - the next calls get a new batch
            self._retire()
            self._batch.close()
            self._batch = self._new_batch()
            for index in list(self._open):
                self._drop(index, error)
            return
        self._retire()

    def _retire(self) -> None:
        for handle in self._batch.retire():
            call = self._open.get(handle.request.index)
            if call is None:
                continue
            try:
                generation = handle.result()
                watched = None
                if call.watch is not None:
                    watched = call.watch.monitor.finish(handle.request.index, generation, self.model)
            except Exception as error:  # noqa: BLE001 - of this call alone
                self._drop(handle.request.index, error)
                continue
            del self._open[handle.request.index]
            logprobs = tuple(handle.logprobs[: len(handle.answer)])
            if not call.future.cancelled():
                call.future.set_result(CallAnswer(generation, handle.effects, logprobs, watched))

    def _drop(self, index: int, error: Exception) -> None:
        call = self._open.pop(index)
        if call.watch is not None:
            call.watch.monitor.forget(index)
        _fail(call, error)

    def _new_batch(self) -> DecodingBatch:
        return DecodingBatch(self.model, slots=self.slots, eos_ids=self.model.eos_ids)


def _fail(call: _OpenCall, error: Exception) -> None:
    if not call.future.cancelled():
        call.future.set_exception(error)

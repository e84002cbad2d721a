"""The thread that writes all answers: one running batch that requests join and leave.

1. `submit` puts a job into a bounded inbox; the thread admits what lies there before every step.
2. A step writes a token of every row, passes at most `prefill_tokens` of the prompts that wait, and is seen
   by the monitors.
3. What is new of answers that are streamed goes to their listeners, all of a step in one call: at once where
   it is an answer's first token, else every `STREAM_SECONDS`. A small model makes steps faster than a reader
   sees, and waking the loop for each would cost as much as the step.
4. What has ended goes to its listener with everything that was read of it.

Where memory runs out, the answers that have begun are told so, those that wait are begun again once, and the
batch goes on with half as many slots.
Nothing of a job outlives it: not a slot, not a hook, not a line of a monitor.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from mindscope.models import DecodingBatch, is_out_of_memory
from mindscope.server.engine.answer_job import AnswerEnd, AnswerJob
from mindscope.server.engine.heap import HeapTrimmer

if TYPE_CHECKING:
    from mindscope.models import GenerationHandle, Model, PrefixCache
    from mindscope.server.config import ServerLimits

_logger = logging.getLogger("mindscope.server")


class QueueFullError(Exception):
    """All slots and all places of the queue are taken.

    Attributes:
        seconds: when it is worth trying again, by how long answers have taken of late.
    """

    def __init__(self, seconds: float):
        super().__init__("the queue is full")
        self.seconds = seconds


class OutOfMemoryError(Exception):
    """Memory ran out while this answer was being written, with others beside it."""


Deliver = Callable[[Sequence[Callable[[], object]]], object]
"""Carries out calls to listeners, such as in the thread of an event loop."""


class AnswerScheduler:
    """Writes the answers of jobs side by side, in a thread of its own.

    Args:
        model: who answers.
        limits: slots, queue and prefill.
        deliver: how listeners are called; by default in the scheduler's thread.
        prefixes: prompts whose beginnings need not pass again.
    """

    def __init__(
        self,
        model: Model,
        limits: ServerLimits,
        *,
        deliver: Deliver | None = None,
        prefixes: PrefixCache | None = None,
    ):
        self.model, self.limits = model, limits
        self.deliver: Deliver = deliver or call_all
        self.prefixes = prefixes
        self.slots = limits.slots
        self.n_steps = 0
        self._indices = itertools.count()
        self._inbox: deque[AnswerJob] = deque()
        self._jobs: dict[int, AnswerJob] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._seconds = 1.0  # of an answer, a running mean
        self._heap = HeapTrimmer()
        self._batch = self._open_batch()
        self._thread = threading.Thread(target=self._run, name="mindscope-answers", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; jobs that are open are cancelled."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def n_open(self) -> int:
        """Jobs that have not ended."""
        return len(self._inbox) + len(self._jobs)

    @property
    def n_live(self) -> int:
        """Answers that are being written."""
        return self._batch.n_live

    def submit(self, jobs: Sequence[AnswerJob]) -> None:
        """Take jobs in, all or none.

        Raises:
            QueueFullError: there is no room for all of them.
        """
        with self._changed:
            if self._closing or self.n_open + len(jobs) > self.limits.slots + self.limits.queue:
                waves = 1 + self.n_open / max(1, self.slots)
                raise QueueFullError(self._seconds * waves)
            self._inbox.extend(jobs)
            self._changed.notify()

    def cancel(self, job: AnswerJob) -> None:
        """Let a job go; its listener hears of its end."""
        with self._changed:
            job.cancelled = True
            if job.handle is not None:
                self._batch.cancel(job.handle)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._inbox or self._batch.busy or self._closing):
                    self._changed.wait()
                if self._closing:
                    break
                self._admit_all()
            self._step()
            self._heap.trim(idle=not (self._inbox or self._batch.busy))
        closing = RuntimeError("the server is closing")
        self._fail_all(closing)
        self.deliver([partial(job.listener, job, AnswerEnd(None, closing)) for job in self._inbox])

    def _admit_all(self) -> None:
        """Take the inbox in. A method of its own: what a loop names is kept until it names another."""
        for job in list(self._inbox):
            self._admit(job)
        self._inbox.clear()

    def _admit(self, job: AnswerJob) -> None:
        """Put a job into the batch. What does not fit is told to its listener and goes no further."""
        index = next(self._indices)
        request = replace(job.request, index=index)
        if job.watch is not None:
            request = replace(request, controller=job.watch.monitor)
        self._jobs[index] = job
        try:
            job.handle = self._batch.admit(request)
            if job.watch is not None:
                watch = job.watch
                job.seen = watch.monitor.watch(
                    index, watch.policy, watch.columns, watch.on_event, live=job.streamed
                )
        except Exception as error:  # noqa: BLE001 - whose request it was gets it back
            if job.handle is not None:
                self._batch.cancel(job.handle)
            self._finish(index, AnswerEnd(None, error))
            return
        if job.cancelled:
            self._batch.cancel(job.handle)

    def _step(self) -> None:
        try:
            self._batch.step()
        except Exception as error:
            self._retire()
            if is_out_of_memory(error):
                self.slots = max(1, (min(self.slots, len(self._jobs)) + 1) // 2)
                self._begin_again()
                self._fail_all(OutOfMemoryError(f"memory ran out; going on with {self.slots} side by side"))
            else:
                _logger.exception("a step failed, and with it the answers that were being written")
                self._fail_all(error)
            return
        self.n_steps += 1
        now = time.monotonic()
        for job in self._jobs.values():
            job.begin(now)
        self._retire()
        self._stream()

    def _retire(self) -> None:
        calls: list[Callable[[], object]] = []
        for handle in self._batch.retire():
            index = handle.request.index
            if index in self._jobs:
                calls += self._end_calls(index, handle)
        if calls:
            self.deliver(calls)

    def _end_calls(self, index: int, handle: GenerationHandle) -> list[Callable[[], object]]:
        job = self._jobs.pop(index)
        watched = None
        generation, error = handle.generation, handle.error
        if job.watch is not None:
            if generation is None:
                job.watch.monitor.forget(index)
            else:
                try:
                    watched = job.watch.monitor.finish(index, generation, self.model)
                except Exception as failed:  # noqa: BLE001 - of this answer alone
                    job.watch.monitor.forget(index)
                    generation, error = None, failed
        seconds = time.monotonic() - job.submitted
        self._seconds += 0.1 * (seconds - self._seconds)
        end = AnswerEnd(
            generation,
            error,
            watched,
            handle.effects,
            tuple(handle.logprobs[: len(handle.answer)]),
            handle.n_reused,
            None if job.first is None else job.first - job.submitted,
            seconds,
        )
        calls: list[Callable[[], object]] = []
        if job.streamed and generation is not None:
            calls.append(partial(job.listener, job, job.last_piece(self._batch.fresh_text)))
        return [*calls, partial(job.listener, job, end)]

    def _stream(self) -> None:
        now = time.monotonic()
        pieces = [
            (job, job.piece(now, self._batch.fresh_text)) for job in self._jobs.values() if job.streamed
        ]
        calls = [partial(job.listener, job, piece) for job, piece in pieces if piece is not None]
        if calls:
            self.deliver(calls)

    def _finish(self, index: int, end: AnswerEnd) -> None:
        """Tell the listener of a job that goes no further."""
        job = self._jobs.pop(index)
        if job.watch is not None:
            job.watch.monitor.forget(index)
        self.deliver([partial(job.listener, job, end)])

    def _begin_again(self) -> None:
        """Put those that have no token yet back into the inbox, once."""
        for index, job in list(self._jobs.items()):
            if job.first is not None or job.again or job.cancelled:
                continue
            del self._jobs[index]
            if job.watch is not None:
                job.watch.monitor.forget(index)
            job.handle, job.seen, job.again = None, None, True
            with self._changed:
                self._inbox.append(job)

    def _fail_all(self, error: Exception) -> None:
        """Answer all jobs of the batch with an error, and open a new one."""
        self._batch.close()
        self._batch.retire()
        for index in list(self._jobs):
            self._finish(index, AnswerEnd(None, error))
        if self.model.device.type != "cpu":
            torch.get_device_module(self.model.device).empty_cache()
        if self.prefixes is not None:
            self.prefixes.clear()
        self._batch = self._open_batch()

    def _open_batch(self) -> DecodingBatch:
        return DecodingBatch(
            self.model,
            slots=self.slots,
            eos_ids=self.model.eos_ids,
            prefill_tokens=self.limits.prefill_tokens,
            prefixes=self.prefixes,
        )


def call_all(calls: Sequence[Callable[[], object]]) -> None:
    """Call one after the other, in this thread."""
    for call in calls:
        call()

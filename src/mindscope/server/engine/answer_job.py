"""An answer that is asked for: how it is watched, what is handed out of it as it is written, and its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mindscope.models import EditEffect, Generation, GenerationHandle, GenerationRequest, TokenLogprob
    from mindscope.monitoring import AlarmEvent, LiveMonitor, Policy, WatchedAnswer

STREAM_SECONDS = 0.02
"""Between two pieces of a streamed answer: fifty a second, faster than a screen shows or a person reads."""


@dataclass(frozen=True, slots=True)
class AnswerWatch:
    """How an answer is watched: by which monitor, which of its features, and what an alarm does."""

    monitor: LiveMonitor
    policy: Policy
    columns: tuple[int, ...]
    on_event: Callable[[AlarmEvent], object] | None = None


@dataclass(frozen=True, slots=True)
class AnswerPiece:
    """What is new of an answer.

    Attributes:
        text: what became certain.
        logprobs: of the tokens behind it.
        readings: `[tokens, features]` of tokens that have passed since the last piece, or None.
    """

    text: str
    logprobs: tuple[TokenLogprob, ...]
    readings: np.ndarray | None


@dataclass(frozen=True, slots=True)
class AnswerEnd:
    """An answer that has ended, and all that is known of it.

    Attributes:
        generation: the answer; None where it failed.
        error: why it failed.
        watched: what its monitor saw.
        effects: what its edits did.
        logprobs: of its tokens.
        n_reused: prompt tokens that were not passed again.
        first_seconds: from `submit` to its first token; None where it has none.
        seconds: from `submit` to its end.
    """

    generation: Generation | None
    error: Exception | None = None
    watched: WatchedAnswer | None = None
    effects: tuple[EditEffect, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    n_reused: int = 0
    first_seconds: float | None = None
    seconds: float = 0.0


Listener = Callable[["AnswerJob", "AnswerPiece | AnswerEnd"], object]
"""Told of what is new of a job."""

FreshText = Callable[["GenerationHandle"], str]
"""What has become certain of an answer's text since the last call: `DecodingBatch.fresh_text`."""


@dataclass(eq=False)
class AnswerJob:
    """One answer that is asked for, and what has been handed out of it.

    Attributes:
        request: what is asked of the batch; its index and controller are the scheduler's.
        listener: told, in the scheduler's thread, of what is new; called by `Deliver` where there is one.
        streamed: whether pieces are wanted before the end.
        watch: how it is watched.
        again: whether it was begun again after memory had run out.
    """

    request: GenerationRequest
    listener: Listener
    streamed: bool = False
    watch: AnswerWatch | None = None
    cancelled: bool = False
    again: bool = False
    submitted: float = field(default_factory=time.monotonic)
    first: float | None = None
    handle: GenerationHandle | None = None
    seen: WatchedAnswer | None = None
    _sent: float = 0.0
    _n_logprobs: int = 0
    _n_readings: int = 0

    def begin(self, now: float) -> None:
        """Note when the first token came."""
        if self.first is None and self.handle is not None and (self.handle.answer or self.handle.finish):
            self.first = now

    def piece(self, now: float, fresh_text: FreshText) -> AnswerPiece | None:
        """What is new, if it is time for it."""
        assert self.handle is not None
        if self.first is None or (self._sent and now - self._sent < STREAM_SECONDS):
            return None
        if not (text := fresh_text(self.handle)):
            return None
        self._sent = now
        return self._rest(text)

    def last_piece(self, fresh_text: FreshText) -> AnswerPiece:
        """All that has not been handed out of an answer that has ended."""
        assert self.handle is not None
        return self._rest(fresh_text(self.handle))

    def _rest(self, text: str) -> AnswerPiece:
        assert self.handle is not None
        kept = len(self.handle.answer)
        logprobs = tuple(self.handle.logprobs[self._n_logprobs : kept])
        self._n_logprobs = max(self._n_logprobs, kept)
        readings = None
        if self.seen is not None:
            new = self.seen.tokens[self._n_readings :]
            self._n_readings += len(new)
            readings = np.stack(new) if new else None
        return AnswerPiece(text, logprobs, readings)

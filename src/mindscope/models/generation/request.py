"""One request for an answer, the handle on it while it is written, and the answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.generation.config import Sampling
from mindscope.models.generation.control import Controller, ControllerEdits
from mindscope.models.generation.sample import Key
from mindscope.models.hooks.edit_gauge import EditEffect
from mindscope.models.hooks.edits import Edit
from mindscope.models.hooks.read import Read
from mindscope.models.tokens.reasoning import ReasoningTracker
from mindscope.models.tokens.rows import Row, reaches_answer
from mindscope.models.tokens.text import AnswerStream

Finish = Literal["stop", "length", "halted", "cancelled"]


class TokenConstraint(Protocol):
    """What an answer may be, token by token."""

    def allowed(self) -> Bool[np.ndarray, "vocabulary"]:
        """Which tokens may come next: at least one of them."""
        ...

    def take(self, token: int) -> None:
        """Note the token that came."""
        ...


NOT_BEGUN = 2**62
"""A position that no row reaches."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer.

    Attributes:
        row: the prompt and the answer's ids, without the token or stop string that ended it.
        text: the final answer, special tokens left out; empty where the answer was cut while still
            reasoning. Where a stop string begins inside a token, the token's first characters are here while
            the token is not in `row`.
        finish: `stop` where the model ended or a stop string came, `length` where it was cut, `halted` where
            a controller ended it, `cancelled` where whoever asked for it did.
        reads: what was read of `row`, float32 on the CPU: `[width]` for Mean and Last (NaN where the row has
            no such token), `[tokens, width or k]` for Raw and Project. A cancelled answer has none.
        controller_edits: what a controller edited, at explicit positions of `row`, so that reading the row
            again under them gives the same.
        reasoning: what was thought before `text`, without its markers; None where nothing was.
    """

    row: Row
    text: str
    finish: Finish
    reads: dict[str, Tensor] = field(default_factory=dict)
    controller_edits: tuple[Edit, ...] = ()
    reasoning: str | None = None

    @property
    def unfinished_reasoning(self) -> bool:
        """Whether it ended while the model was still reasoning: there is no final answer to speak of."""
        return self.reasoning is not None and self.row.final_start == len(self.row)


@dataclass(frozen=True, slots=True, eq=False)
class GenerationRequest:
    """What one answer is asked with. Nothing in it touches another request of the same batch.

    Attributes:
        row: the prompt, and the beginning of the answer if there is one.
        sampling: how to draw.
        index: which of the caller's rows this is: what a controller, and a rewrite around the batch, know it
            by. Requests that share a controller have different ones.
        seed: the seed of the row's random numbers; None for `sampling.seed` together with `index`.
        edits: the writes.
        reads: what to read of prompt and answer, by name.
        controller: looks on while the answer is written. One may look on at many requests.
        on_token: called with (token id, text that became certain); raising ends this request alone.
        n_logprobs: how many of the likeliest tokens to keep the log-probabilities of at every step, besides
            that of the token drawn; None for none at all.
        constraint: makes what says which tokens may come next; the others are never drawn. Log-probabilities
            stay those of the model.
        measures_edits: whether to read back from the passes what the edits did to this row.
    """

    row: Row
    sampling: Sampling = Sampling()  # noqa: RUF009 - frozen
    index: int = 0
    seed: Key | None = None
    edits: tuple[Edit, ...] = ()
    reads: Mapping[str, Read] = field(default_factory=dict)
    controller: Controller | None = None
    on_token: Callable[[int, str], object] | None = None
    n_logprobs: int | None = None
    constraint: Callable[[], TokenConstraint] | None = None
    measures_edits: bool = False

    def __post_init__(self) -> None:
        if self.n_logprobs is not None and self.n_logprobs < 0:
            raise ModelError(f"n_logprobs must be 0 or more, got {self.n_logprobs}")
        if isinstance(self.seed, int) and self.seed < 0:
            raise ModelError(f"a seed must be 0 or more, got {self.seed}")

    @property
    def key(self) -> Key | None:
        """What seeds the random numbers; None where none are drawn."""
        if self.sampling.temperature == 0:
            return None
        return (self.sampling.seed, self.index) if self.seed is None else self.seed

    @property
    def reads_answer(self) -> bool:
        """Whether a read looks at tokens behind the prompt: then the newest token must pass through too."""
        watched = self.controller.reads.values() if self.controller is not None else ()
        return any(reaches_answer(read.reduce.where) for read in (*self.reads.values(), *watched))


class TokenLogprob(NamedTuple):
    """A token that was drawn: natural logarithms of probabilities at temperature 1, before any cut.

    Attributes:
        token: its id.
        logprob: its own.
        top: the likeliest tokens and theirs, in falling order.
    """

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]


class GenerationHandle:
    """A request in a batch: what has been written so far, and the answer once it has ended.

    Attributes:
        request: what was asked.
        answer: the ids written so far.
        finish: how the answer ended; None while it is being written.
        logprobs: of every token drawn, where the request asks for them: also of one that ended the answer,
            and of those of a stop string.
        effects: what the edits did to the row, where the request asks for it; known once it has ended.
        n_reused: tokens of the prompt that came out of a prefix cache and did not pass again.
    """

    def __init__(self, request: GenerationRequest, limit: int, tracker: ReasoningTracker | None = None):
        self.request = request
        self.tracker = tracker
        self.answer: list[int] = []
        self.finish: Finish | None = None
        self.cut_text: str | None = None  # before a stop string
        self.limit = limit  # of tokens
        self.reads_answer = request.reads_answer
        self.controller_edits = ControllerEdits()
        self.cancelled = False
        self.error: Exception | None = None
        self.generation: Generation | None = None
        self.logprobs: list[TokenLogprob] = []
        self.effects: tuple[EditEffect, ...] = ()
        self.n_reused = 0
        self.constraint = None if request.constraint is None else request.constraint()
        self.stream: AnswerStream | None = None  # what has been handed out of the text

    @property
    def n_reasoning(self) -> int:
        """How many of the ids written so far are reasoning."""
        if self.tracker is None:
            return 0
        before = len(self.request.row.answer)
        return max(0, self.tracker.n_reasoning(before + len(self.answer)) - before)

    @property
    def final_start(self) -> int:
        """Where in the row the final answer begins; beyond its end while it has not begun."""
        if self.tracker is None:
            return self.request.row.final_start
        start = self.tracker.final_start
        return NOT_BEGUN if start is None else self.request.row.prompt_length + start

    def write(self, token: int) -> None:
        """Add a token to the answer."""
        self.answer.append(token)
        if self.tracker is not None and self.tracker.final_start is None:
            self.tracker.add([*self.request.row.answer, *self.answer])

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be written."""
        return self.finish is not None or self.error is not None

    def result(self) -> Generation:
        """The answer.

        Raises:
            ModelError: it is still being written, or the model's logits were not finite.
            Exception: whatever the request's controller or callback raised.
        """
        if self.error is not None:
            raise self.error
        if self.generation is None:
            raise ModelError("this answer is still being written; call step() until it is retired")
        return self.generation

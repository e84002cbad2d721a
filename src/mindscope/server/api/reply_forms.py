"""How answers are written down as replies and chunks of a stream, in the shapes of both OpenAI routes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar

from mindscope.server.api.answering import now
from mindscope.server.api.replies import Reason
from mindscope.server.api.requests import ChatCompletionRequest, CompletionRequest, SampledRequest
from mindscope.server.api.tools import CallFormat
from mindscope.server.descriptions import short_numbers
from mindscope.server.engine.answer_job import AnswerEnd, AnswerPiece

if TYPE_CHECKING:
    from mindscope.models import Model, TokenLogprob
    from mindscope.server.plans import SteeringPlan
    from mindscope.server.service import SteeringService

Json = dict[str, Any]


@dataclass(frozen=True)
class ReplyForm(ABC):
    """How the answers of one request are written down."""

    service: SteeringService
    asked: SampledRequest
    plan: SteeringPlan
    id: str
    n_prompt: int

    whole_object: ClassVar[str] = ""
    chunk_object: ClassVar[str] = ""
    operation: ClassVar[str] = ""

    def head(self, kind: str) -> Json:
        """What every reply and chunk begins with."""
        return {
            "id": self.id,
            "object": kind,
            "created": now(),
            "model": self.service.name,
            "system_fingerprint": f"fp_{self.service.model.fingerprint[:12]}",
        }

    def whole(self, ends: Sequence[AnswerEnd]) -> Json:
        """The reply to a request that does not stream."""
        choices = [self.choice(index, end) for index, end in enumerate(ends)]
        return {**self.head(self.whole_object), "choices": choices, "usage": self.usage(ends)}

    def chunk(self, choices: Sequence[Json], usage: Json | None = None) -> Json:
        """One event of a stream."""
        body = {**self.head(self.chunk_object), "choices": list(choices)}
        if self.asked.stream_options is not None and self.asked.stream_options.include_usage:
            body["usage"] = usage
        return body

    def usage(self, ends: Sequence[AnswerEnd]) -> Json:
        """How many tokens passed."""
        written = sum(_n_answer(end) for end in ends)
        return {
            "prompt_tokens": self.n_prompt,
            "completion_tokens": written,
            "total_tokens": self.n_prompt + written,
        }

    async def log(self, ends: Mapping[int, AnswerEnd]) -> None:
        """Keep what was read, before it is told."""
        await self.service.record(self.id, self.plan, ends, self.operation)

    def extra(self, end: AnswerEnd) -> Json:
        """What mindscope has to say, where the client asked for anything."""
        return self.service.describe(self.plan, end)

    def live(self, piece: AnswerPiece) -> Json:
        """The readings of a piece."""
        if not (self.plan.shows_readings and self.plan.per_token) or piece.readings is None:
            return {}
        readings = {label: short_numbers(piece.readings[:, column]) for column, label in self.plan.labels}
        return {"mindscope": {"readings": readings}}

    def certain(self, _index: int, piece: AnswerPiece) -> AnswerPiece:
        """A piece without the text that cannot be told apart from a call yet."""
        return piece

    def held(self, _index: int, _end: AnswerEnd) -> list[Json]:
        """Chunks of what was held back of an answer that has ended."""
        return []

    @abstractmethod
    def choice(self, index: int, end: AnswerEnd) -> Json:
        """One answer of a reply that is not streamed."""

    @abstractmethod
    def opening(self, index: int) -> Json | None:
        """What is sent before the first piece of an answer."""

    @abstractmethod
    def piece(self, index: int, piece: AnswerPiece) -> Json:
        """A chunk with a piece of an answer."""

    @abstractmethod
    def last(self, index: int, end: AnswerEnd) -> Json:
        """The chunk that ends an answer."""


@dataclass(frozen=True)
class ChatForm(ReplyForm):
    """`/v1/chat/completions`: messages, with the text held back that may turn out to be a tool call."""

    calls: CallFormat | None = None
    _texts: dict[int, str] = field(default_factory=dict)  # by choice, what has been written
    _sent: dict[int, int] = field(default_factory=dict)  # and how much of it has been handed on

    operation = "chat"
    whole_object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def choice(self, index: int, end: AnswerEnd) -> Json:
        generation = end.generation
        assert generation is not None
        message: Json = {"role": "assistant", "content": generation.text, "refusal": None}
        if generation.reasoning is not None:
            message["reasoning_content"] = generation.reasoning
        if (called := self._called(end)) is not None:
            message["content"], message["tool_calls"] = called[0] or None, called[1]
        return {
            "index": index,
            "message": message,
            "finish_reason": self._reason(end),
            "logprobs": self._logprobs(end.logprobs) if _asks_logprobs(self.asked) else None,
            **self.extra(end),
        }

    def certain(self, index: int, piece: AnswerPiece) -> AnswerPiece:
        if self.calls is None:
            return piece
        text = self._texts[index] = self._texts.get(index, "") + piece.text
        begin, end = self._sent.get(index, 0), len(text) - self.calls.held(text)
        self._sent[index] = max(begin, end)
        return replace(piece, text=text[begin:end])

    def held(self, index: int, end: AnswerEnd) -> list[Json]:
        if self.calls is None:
            return []
        called = self._called(end)
        text = self._texts.get(index, "") if called is None else called[0]
        deltas: list[Json] = []
        if rest := text[self._sent.get(index, 0) :]:
            deltas.append({"content": rest})
        if called is not None:
            numbered = [{"index": number, **call} for number, call in enumerate(called[1])]
            deltas.append({"tool_calls": numbered})
        return [
            self.chunk([{"index": index, "delta": delta, "logprobs": None, "finish_reason": None}])
            for delta in deltas
        ]

    def _called(self, end: AnswerEnd) -> tuple[str, list[Json]] | None:
        """What an answer says beside its calls, and these."""
        assert isinstance(self.asked, ChatCompletionRequest)
        assert end.generation is not None
        if self.calls is None or end.generation.finish != "stop":
            return None  # a call that was cut is none
        text = self.service.model.decode(end.generation.row.final, special=True)
        called = self.calls.calls(text, [tool.function.name for tool in self.asked.tools or ()])
        return None if called is None else (called[0], self.calls.told(called[1]))

    def _reason(self, end: AnswerEnd) -> Reason:
        return "tool_calls" if self._called(end) is not None else _reason_of(end)

    def opening(self, index: int) -> Json:
        delta = {"role": "assistant", "content": "", "refusal": None}
        return self.chunk([{"index": index, "delta": delta, "logprobs": None, "finish_reason": None}])

    def piece(self, index: int, piece: AnswerPiece) -> Json:
        logprobs = self._logprobs(piece.logprobs) if _asks_logprobs(self.asked) else None
        choice = {
            "index": index,
            "delta": {"content": piece.text},
            "logprobs": logprobs,
            "finish_reason": None,
            **self.live(piece),
        }
        return self.chunk([choice])

    def last(self, index: int, end: AnswerEnd) -> Json:
        delta: Json = {}
        if end.generation is not None and end.generation.reasoning is not None:
            delta["reasoning_content"] = end.generation.reasoning
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": self._reason(end)}
        return self.chunk([{**choice, **self.extra(end)}])

    def _logprobs(self, tokens: Sequence[TokenLogprob]) -> Json:
        written = _token_writer(self.service.model)
        content = [
            {
                **_token(written, token.token, token.logprob),
                "top_logprobs": [_token(written, name, logprob) for name, logprob in token.top],
            }
            for token in tokens
        ]
        return {"content": content, "refusal": None}


@dataclass(frozen=True)
class TextForm(ReplyForm):
    """`/v1/completions`: plain texts."""

    operation = "text_completion"
    whole_object = "text_completion"
    chunk_object = "text_completion"

    def choice(self, index: int, end: AnswerEnd) -> Json:
        generation = end.generation
        assert generation is not None
        text = (generation.reasoning or "") + generation.text
        logprobs = self._logprobs(end.logprobs) if _asks_logprobs(self.asked) else None
        choice = {"index": index, "text": text, "finish_reason": _reason_of(end), "logprobs": logprobs}
        return {**choice, **self.extra(end)}

    def opening(self, index: int) -> None:
        return None

    def piece(self, index: int, piece: AnswerPiece) -> Json:
        logprobs = self._logprobs(piece.logprobs) if _asks_logprobs(self.asked) else None
        choice = {"index": index, "text": piece.text, "finish_reason": None, "logprobs": logprobs}
        return self.chunk([{**choice, **self.live(piece)}])

    def last(self, index: int, end: AnswerEnd) -> Json:
        choice = {"index": index, "text": "", "finish_reason": _reason_of(end), "logprobs": None}
        return self.chunk([{**choice, **self.extra(end)}])

    def _logprobs(self, tokens: Sequence[TokenLogprob]) -> Json:
        written = _token_writer(self.service.model)
        texts = [written(token.token) for token in tokens]
        offsets = list(accumulate(map(len, texts), initial=0))[:-1]
        return {
            "tokens": texts,
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [
                {written(name): logprob for name, logprob in [*token.top, (token.token, token.logprob)]}
                for token in tokens
            ],
            "text_offset": offsets,
        }


def _reason_of(end: AnswerEnd) -> Reason:
    """Why an answer ended, in OpenAI's words."""
    assert end.generation is not None
    match end.generation.finish:
        case "length":
            return "length"
        case "halted":
            return "content_filter"
    return "stop"


def _asks_logprobs(asked: SampledRequest) -> bool:
    if isinstance(asked, ChatCompletionRequest):
        return bool(asked.logprobs)
    return isinstance(asked, CompletionRequest) and asked.logprobs is not None


def _n_answer(end: AnswerEnd) -> int:
    return 0 if end.generation is None else len(end.generation.row) - end.generation.row.prompt_length


def _token_writer(model: Model) -> Callable[[int], str]:
    known: dict[int, str] = {}

    def write(token: int) -> str:
        if token not in known:
            known[token] = model.decode([token])
        return known[token]

    return write


def _token(written: Callable[[int], str], token: int, logprob: float) -> Json:
    text = written(token)
    # A part of a character has no text of its own, and its bytes are not known to the tokenizer's users.
    own = None if "\ufffd" in text else list(text.encode())
    return {"token": text, "logprob": logprob, "bytes": own}

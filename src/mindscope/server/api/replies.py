"""The replies of OpenAI's chat and completion routes, with what mindscope has to say of each answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from mindscope.server.api.fields import MindscopeReply

Reason = Literal["stop", "length", "content_filter", "tool_calls"]
"""Why an answer ended; content_filter where the policy of a monitor ended it."""


class _Reply(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class ModelCard(_Reply):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "mindscope"
    fingerprint: str
    context_length: int | None = None


class ModelList(_Reply):
    """All that are served, which is one."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class TokenUsage(_Reply):
    """How many tokens passed."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TopToken(_Reply):
    """A likely token."""

    token: str
    logprob: float
    bytes: list[int] | None = None


class ChatToken(TopToken):
    """A token of an answer, and what else was likely there."""

    top_logprobs: list[TopToken]


class ChatLogprobs(_Reply):
    """The tokens of an answer."""

    content: list[ChatToken]
    refusal: None = None


class ReplyFunction(_Reply):
    """A function that is to be called."""

    name: str
    arguments: str
    """An object in JSON."""


class ReplyToolCall(_Reply):
    """A call that the answer asks for."""

    id: str
    type: Literal["function"] = "function"
    function: ReplyFunction


class AssistantMessage(_Reply):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    """None where nothing is said beside the calls."""
    refusal: None = None
    reasoning_content: str | None = None
    tool_calls: list[ReplyToolCall] | None = None


class ChatChoice(_Reply):
    """One of the answers."""

    index: int
    message: AssistantMessage
    finish_reason: Reason
    logprobs: ChatLogprobs | None = None
    mindscope: MindscopeReply | None = None


class ChatReply(_Reply):
    """The answers to a conversation."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: TokenUsage


class TextLogprobs(_Reply):
    """The tokens of a continuation, in the older form."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class TextChoice(_Reply):
    """One of the continuations."""

    index: int
    text: str
    finish_reason: Reason
    logprobs: TextLogprobs | None = None
    mindscope: MindscopeReply | None = None


class CompletionReply(_Reply):
    """The continuations of the prompts."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[TextChoice]
    usage: TokenUsage


class HealthReply(_Reply):
    """Whether the server answers, and how much is going on."""

    status: Literal["ok"] = "ok"
    live: int
    """Answers that are being written."""
    waiting: int
    """Answers that wait for a slot."""
    slots: int

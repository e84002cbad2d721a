"""The requests of OpenAI's chat and completion routes, as far as they can be answered; all else is refused.

A field that this server does not know is an error, and so is one that asks for what it cannot do: nothing is
left out in silence.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mindscope.errors import ModelError
from mindscope.server.api.fields import MindscopeFields
from mindscope.server.compat.easysteer import SteeringField

if TYPE_CHECKING:
    from mindscope.models import ToolMessage

StopText = Annotated[str, Field(min_length=1, max_length=256)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
TokenCount = Annotated[int, Field(ge=1, le=2**31)]
OptionName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
Options = Annotated[dict[OptionName, Any], Field(max_length=64)]


class _StrictBody(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


class TextPart(_StrictBody):
    """A part of a message; texts alone can be read."""

    type: Literal["text"]
    text: str


class CalledFunction(_StrictBody):
    """A function that the assistant has called."""

    name: str = Field(min_length=1, max_length=128)
    arguments: str
    """An object in JSON."""


class RequestToolCall(_StrictBody):
    """A call of an earlier answer."""

    id: str = Field(min_length=1, max_length=64)
    type: Literal["function"] = "function"
    function: CalledFunction

    def as_template_takes(self) -> dict[str, Any]:
        """The same with its arguments as an object, which templates write as JSON.

        Raises:
            ModelError: they are none.
        """
        try:
            arguments = json.loads(self.function.arguments)
        except (ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            raise ModelError(f"the arguments of the call {self.id!r} are not an object in JSON")
        function = {"name": self.function.name, "arguments": arguments}
        return {"id": self.id, "type": self.type, "function": function}


class RequestMessage(_StrictBody):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    """Whose turn it is; developer is system."""
    content: str | Annotated[list[TextPart], Field(min_length=1, max_length=256)] | None = None
    """What is said; null where the assistant only calls tools."""
    reasoning_content: str | None = None
    """What the assistant thought before it."""
    tool_calls: Annotated[list[RequestToolCall], Field(min_length=1, max_length=128)] | None = None
    """What the assistant called."""
    tool_call_id: str | None = Field(default=None, min_length=1, max_length=64)
    """Which call a tool answers."""
    refusal: Literal[None] = None
    """As replies have it."""
    name: str | None = Field(default=None, max_length=0)
    """Names of speakers are not supported."""

    @property
    def text(self) -> str:
        """The content as one text."""
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        return "".join(part.text for part in self.content)

    def as_template_takes(self) -> ToolMessage:
        """The turn as a chat template gets it.

        Raises:
            ModelError: a call's arguments are no object, or a reasoning is another's than the assistant's.
        """
        role = "system" if self.role == "developer" else self.role
        made: ToolMessage = {"role": role, "content": self.text}
        if self.reasoning_content is not None:
            if role != "assistant":
                raise ModelError("only the assistant has reasoning_content")
            made["reasoning"] = self.reasoning_content
        if self.tool_calls is not None:
            made["tool_calls"] = [call.as_template_takes() for call in self.tool_calls]
        if self.tool_call_id is not None:
            made["tool_call_id"] = self.tool_call_id
        return made

    @model_validator(mode="after")
    def _own_fields(self) -> RequestMessage:
        if self.content is None and not self.tool_calls:
            raise ValueError("a message needs content")
        if self.tool_calls is not None and self.role != "assistant":
            raise ValueError("only the assistant has tool_calls")
        if (self.tool_call_id is not None) != (self.role == "tool"):
            raise ValueError("a message of a tool, and no other, has a tool_call_id")
        return self


class StreamOptions(_StrictBody):
    """How an answer is streamed."""

    include_usage: bool = False
    """Whether a last chunk counts the tokens."""
    include_obfuscation: Literal[False] | None = None


class FunctionSchema(_StrictBody):
    """A tool's function, as the chat template gets it."""

    name: str = Field(min_length=1, max_length=128)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: Literal[False] | None = None


class ToolSchema(_StrictBody):
    """A tool that the chat template is told of."""

    type: Literal["function"]
    function: FunctionSchema


class TextFormat(_StrictBody):
    """Plain text."""

    type: Literal["text"]


class JsonFormat(_StrictBody):
    """An object in JSON."""

    type: Literal["json_object"]


class NamedSchema(_StrictBody):
    """A JSON schema. Its name and description are not shown to the model."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(min_length=1, max_length=64)
    description: str | None = None
    body: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None
    """Answers are held to it either way."""


class SchemaFormat(_StrictBody):
    """A value in JSON that fits a schema."""

    type: Literal["json_schema"]
    json_schema: NamedSchema


AnswerFormat = Annotated[TextFormat | JsonFormat | SchemaFormat, Field(discriminator="type")]


class SampledRequest(_StrictBody):
    """What requests for answers have in common."""

    model: str = Field(max_length=512)
    """The model's name, as /v1/models says it."""
    temperature: float = Field(default=1.0, ge=0, le=2)
    """Divides the logits; 0 takes the likeliest token."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Draws from the smallest set of tokens whose probability reaches this."""
    top_k: int = Field(default=0, ge=0, le=2**31)
    """Draws from so many of the likeliest tokens; 0 from all."""
    n: int = Field(default=1, ge=1, le=2**31)
    """How many answers."""
    stream: bool | None = None
    """Send the answer as it is written, as server-sent events."""
    stream_options: StreamOptions | None = None
    stop: StopText | Annotated[list[StopText], Field(max_length=16)] | None = None
    """End the answer before any of these texts."""
    seed: Seed | None = None
    """Seeds what is drawn: the same request is answered alike. By default every request has its own."""
    max_tokens: TokenCount | None = None
    """The most tokens of the answer."""
    presence_penalty: float | None = Field(default=None, ge=0, le=0)
    """Not supported: 0."""
    frequency_penalty: float | None = Field(default=None, ge=0, le=0)
    """Not supported: 0."""
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    """Not supported: empty."""
    user: str | None = Field(default=None, max_length=512)
    """Taken and not used."""
    mindscope: MindscopeFields | None = None
    """How the answer is to be steered and watched."""
    steering: SteeringField | Literal[False] | None = None
    """Steering in the form of EasySteer; false for none."""

    @model_validator(mode="after")
    def _one_steering(self) -> SampledRequest:
        if self.steering and self.mindscope is not None and self.mindscope.steer:
            raise ValueError("give steering or mindscope.steer, not both")
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options need stream: true")
        return self

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end the answer."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


class ChatCompletionRequest(SampledRequest):
    """A conversation that is to be answered."""

    messages: list[RequestMessage] = Field(min_length=1, max_length=4096)
    """The conversation up to the turn that is to be answered."""
    max_completion_tokens: TokenCount | None = None
    """The same as max_tokens; of both the smaller counts."""
    logprobs: bool | None = None
    """Whether each token comes with its log-probability, at temperature 1."""
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    """How many of the likeliest tokens come with theirs."""
    tools: Annotated[list[ToolSchema], Field(max_length=128)] | None = None
    """Tools that the model's chat template is told of; one that takes none refuses them. What the model
    writes to call one comes back as tool_calls, for the families whose writing is known."""
    tool_choice: Literal["none", "auto"] | None = None
    """Whether the template is told of the tools."""
    response_format: AnswerFormat | None = None
    """Text, an object in JSON, or JSON that fits a schema. Tokens that would lead elsewhere are never drawn.
    The model is not told of it, so ask for JSON in words too. An answer that is cut is no whole JSON."""
    chat_template_kwargs: Options | None = None
    """Options of the chat template, such as enable_thinking."""
    store: Literal[False] | None = None
    """Not supported: false."""

    @model_validator(mode="after")
    def _top_needs_logprobs(self) -> ChatCompletionRequest:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs need logprobs: true")
        if self.schema_of_answer is not None and self.tools and self.tool_choice != "none":
            raise ValueError("an answer that is to be JSON calls no tools: leave out one of both")
        return self

    @property
    def schema_of_answer(self) -> dict[str, Any] | None:
        """The JSON schema that the answer is held to; None for text."""
        match self.response_format:
            case JsonFormat():
                return {"type": "object"}
            case SchemaFormat(json_schema=named):
                return named.body
        return None

    @property
    def limit(self) -> int | None:
        """The most tokens of the answer."""
        return min((n for n in (self.max_tokens, self.max_completion_tokens) if n is not None), default=None)


TokenId = Annotated[int, Field(ge=0, le=2**31)]
Prompt = (
    Annotated[str, Field(min_length=1)]
    | Annotated[list[TokenId], Field(min_length=1)]
    | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=64)]
    | Annotated[list[Annotated[list[TokenId], Field(min_length=1)]], Field(min_length=1, max_length=64)]
)


class CompletionRequest(SampledRequest):
    """Plain text that is to be continued."""

    prompt: Prompt
    """A text, its token ids, or several of either."""
    logprobs: int | None = Field(default=None, ge=0, le=5)
    """How many of the likeliest tokens come with their log-probabilities, beside the token's own."""
    echo: Literal[False] | None = None
    """Not supported: false."""
    suffix: str | None = Field(default=None, max_length=0)
    """Not supported: empty."""
    best_of: Literal[1] | None = None
    """Not supported: 1."""

    @property
    def prompts(self) -> list[str | list[int]]:
        """Each of the prompts."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [[token for token in self.prompt if isinstance(token, int)]]
        return [one for one in self.prompt if not isinstance(one, int)]

"""One model behind an OpenAI-compatible endpoint: many chat completions at once, retried where that helps."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from mindscope.core import parse_json
from mindscope.errors import JudgeError
from mindscope.judges.address import NO_KEY, EndpointAddress
from mindscope.judges.replies import (
    EndpointReply,
    NoReplyError,
    UnusableReplyError,
    one_line,
    read_reply,
)
from mindscope.judges.request_shape import ChatRequest, RequestShape

T = TypeVar("T")
J = TypeVar("J")

_SENT_HEADERS = (
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "x-stainless-raw-response",  # by which the client knows that the reply is wanted as it is
)
"""All headers that leave this machine: the client adds others out of the environment, which may hold
secrets."""

_MOST_LESSONS = 6
"""How often one request is written anew: each parameter that may be refused, once."""

Complete = Callable[[ChatRequest], Awaitable[EndpointReply]]


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """How an endpoint is asked."""

    api_key: str | None = None
    """The key; by default OPENAI_API_KEY for api.openai.com, and none for other addresses."""
    api_key_env: str | None = None
    """The variable of the environment that holds the key for this address."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Sent with every request, such as ``{"chat_template_kwargs": {"enable_thinking": False}}``."""
    concurrency: int = 16
    """The most requests under way at once."""
    timeout: float = 60.0
    """The seconds to wait for one reply."""
    retries: int = 6
    """How often a request is asked again."""

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise JudgeError(f"{self.concurrency} requests at once ask nothing: take 1 or more")


class ChatEndpoint:
    """Chat completions of one model.

    Rate limits, server errors, timeouts and broken connections are asked again with growing pauses, or after
    the time that the server's Retry-After names (the `openai` client does that). A parameter that the
    endpoint refuses is left out, or written as it wants it, from then on.

    Args:
        base_url: e.g. ``http://localhost:8000/v1``.
        model: the model's name there.
        config: by default, see `EndpointConfig`.

    Raises:
        JudgeError: the openai package is missing, or the address or the key.
    """

    def __init__(self, base_url: str, model: str, config: EndpointConfig | None = None) -> None:
        try:
            import openai
        except ImportError:
            raise JudgeError("asking an endpoint needs openai: pip install 'mindscope[judge]'") from None
        self.address = EndpointAddress(base_url)
        self.model = model
        self.config = config or EndpointConfig()
        self._key = self.config.api_key or self.address.find_key(self.config.api_key_env)
        self._openai = openai
        self._shape = RequestShape()

    @property
    def name(self) -> str:
        """The model, where it is and what is asked of it, for provenance; without secrets."""
        options = json.dumps(dict(self.config.options), sort_keys=True) if self.config.options else ""
        return f"endpoint:{self.model} at {self.address.place}{options and f' with {options}'}"

    @property
    def gives_alternatives(self) -> bool:
        """Whether the endpoint has not refused log-probabilities so far."""
        return self._shape.alternatives > 0

    def map(self, ask: Callable[[Complete, J], Awaitable[T]], jobs: Sequence[J]) -> list[T]:
        """``ask(complete, job)`` for every job, so many at once as allowed, in the order of the jobs.

        ``complete(request)`` gives the reply to one user message. It raises

        - NoReplyError: the endpoint was not reached, overloaded or too slow, once too often;
        - UnusableReplyError: it refuses this one prompt, or its reply holds no answer;
        - JudgeError: no request can succeed, for the key, the model or the address is wrong.

        The first exception that ``ask`` lets through ends it all and cancels what is still under way.
        """

        async def run() -> list[T]:
            free = asyncio.Semaphore(self.config.concurrency)
            async with self._client() as client:
                complete = partial(self._complete, client)

                async def run_job(job: J) -> T:
                    async with free:
                        return await ask(complete, job)

                return await asyncio.gather(*map(run_job, jobs))

        return _run(run())

    def _client(self) -> Any:
        async def drop_headers(request: Any) -> None:
            for name in {*request.headers}:
                if name.lower() not in _SENT_HEADERS:
                    del request.headers[name]

        timeout = self.config.timeout
        http = self._openai.DefaultAsyncHttpxClient(
            timeout=timeout, event_hooks={"request": [drop_headers], "response": []}
        )
        return self._openai.AsyncOpenAI(
            base_url=self.address.url,
            api_key=self._key,
            timeout=timeout,
            max_retries=self.config.retries,
            http_client=http,
        )

    async def _complete(self, client: Any, request: ChatRequest) -> EndpointReply:
        for _ in range(_MOST_LESSONS):
            sent = self._shape.write(request)
            try:
                return await self._send(client, request.prompt, sent)
            except self._openai.APIStatusError as error:
                if not (self._shape.learn(error.message, sent) or self._shape.write(request) != sent):
                    raise JudgeError(self._refusal(error)) from None
        raise JudgeError(f"{self.address} refuses every form of a request to '{self.model}': take another")

    async def _send(self, client: Any, prompt: str, parameters: dict[str, Any]) -> EndpointReply:
        openai = self._openai
        try:
            response = await client.chat.completions.with_raw_response.create(
                model=self.model,
                messages=[{"role": "user", "content": prompt}],
                extra_body=dict(self.config.options) or None,
                **parameters,
            )
        except openai.APITimeoutError:
            raise NoReplyError(f"no reply within {self.config.timeout:g} s") from None
        except openai.APIConnectionError as error:
            raise NoReplyError(f"cannot be reached: is it running? ({error.__cause__})") from None
        except (openai.RateLimitError, openai.InternalServerError, openai.ConflictError) as error:
            raise NoReplyError(f"HTTP {error.status_code}: {one_line(error.message)}") from None
        except openai.APIStatusError as error:
            # These concern one prompt, and leave the others their chance.
            message = error.message.lower()
            if error.code == "content_filter":
                return EndpointReply("", "the endpoint's content filter")
            if error.code == "context_length_exceeded" or "context length" in message:
                raise UnusableReplyError(one_line(error.message)) from None
            if "could not finish the message" in message or "output limit was reached" in message:
                return EndpointReply("", cut=True)
            if error.status_code == 408:
                raise NoReplyError(f"HTTP 408: {one_line(error.message)}") from None
            raise
        except openai.APIError as error:
            raise NoReplyError(one_line(error.message)) from None
        return _read_body(response.text)

    def _refusal(self, error: Any) -> str:
        message = f"{self.address} refuses '{self.model}': {one_line(error.message)}"
        if error.status_code in (401, 403) and self._key == NO_KEY:
            message += " (no key was sent: name the variable that holds it, --api-key-env NAME)"
        return message


def _read_body(text: Any) -> EndpointReply:
    try:
        body = parse_json(text)
    except ValueError:
        raise UnusableReplyError(f"the endpoint's reply is not JSON: {one_line(str(text))[:80]!r}") from None
    return read_reply(body)


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs it, also where a loop runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()

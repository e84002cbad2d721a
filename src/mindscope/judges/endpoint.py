"""One model behind an OpenAI-compatible endpoint: many chat completions at once, retried where that helps."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from mindscope.errors import JudgeError

T = TypeVar("T")
J = TypeVar("J")


@dataclass(frozen=True, slots=True)
class EndpointReply:
    """What the model said; ``top`` holds its first token's alternatives and log-probabilities, if given."""

    text: str
    refusal: str | None = None
    top: tuple[tuple[str, float], ...] | None = None


Complete = Callable[..., Awaitable[EndpointReply]]


class NoReplyError(Exception):
    """The endpoint did not answer this one request, however often it was asked."""


class NoLogprobsError(Exception):
    """The endpoint cannot give log-probabilities."""


class ChatEndpoint:
    """Chat completions of one model.

    Rate limits, server errors, timeouts and broken connections are asked again with growing pauses, or after
    the time that the server's Retry-After names (the `openai` client does that).

    Args:
        base_url: e.g. ``http://localhost:8000/v1``.
        model: the model's name there.
        api_key: by default the environment's OPENAI_API_KEY; local servers mostly need none.
        concurrency: most requests under way at once.
        timeout: seconds to wait for one reply.
        retries: how often a request is asked again.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        concurrency: int = 16,
        timeout: float = 60.0,
        retries: int = 6,
    ) -> None:
        try:
            import openai
        except ImportError:
            raise JudgeError("asking an endpoint needs openai: pip install 'mindscope[judge]'") from None
        if not base_url.startswith(("http://", "https://")):
            raise JudgeError(
                f"'{base_url}' is not an endpoint: give its address, e.g. http://localhost:8000/v1"
            )
        if concurrency < 1:
            raise JudgeError(f"{concurrency} requests at once ask nothing: take 1 or more")
        self.base_url = base_url
        self.model = model
        self._concurrency = concurrency
        self._openai = openai
        self._settings: dict[str, Any] = {
            "base_url": base_url,
            "api_key": api_key or os.environ.get("OPENAI_API_KEY") or "none",
            "timeout": timeout,
            "max_retries": retries,
        }

    def map(self, ask: Callable[[Complete, J], Awaitable[T]], jobs: Sequence[J]) -> list[T]:
        """``ask(complete, job)`` for every job, at most ``concurrency`` at once, in the order of the jobs.

        ``complete(prompt, **options)`` gives the reply to one user message. It raises

        - NoReplyError: this request was refused for load, or timed out, once too often;
        - NoLogprobsError: log-probabilities were asked for, and the endpoint says that it has none;
        - JudgeError: no request can succeed, for the key, the model or the address is wrong.

        The first exception that ``ask`` lets through ends it all and cancels what is still under way.
        """

        async def run() -> list[T]:
            free = asyncio.Semaphore(self._concurrency)
            async with self._openai.AsyncOpenAI(**self._settings) as client:
                complete = partial(self._complete, client)

                async def run_job(job: J) -> T:
                    async with free:
                        return await ask(complete, job)

                return await asyncio.gather(*map(run_job, jobs))

        return _run(run())

    async def _complete(self, client: Any, prompt: str, **options: Any) -> EndpointReply:
        openai = self._openai
        try:
            completion = await client.chat.completions.create(
                model=self.model, messages=[{"role": "user", "content": prompt}], **options
            )
        except openai.APITimeoutError:
            raise NoReplyError(f"no reply within {self._settings['timeout']:g} s") from None
        except openai.APIConnectionError as error:
            raise JudgeError(
                f"{self.base_url} cannot be reached: is it running? ({error.__cause__})"
            ) from None
        except (openai.RateLimitError, openai.InternalServerError, openai.ConflictError) as error:
            raise NoReplyError(f"HTTP {error.status_code}: {_line(error.message)}") from None
        except openai.APIStatusError as error:
            # These concern one prompt, and leave the others their chance.
            if error.code == "content_filter":
                return EndpointReply("", "the endpoint's content filter")
            if error.code == "context_length_exceeded" or "context length" in error.message.lower():
                raise NoReplyError(_line(error.message)) from None
            if "logprobs" in options and "logprob" in error.message.lower():
                raise NoLogprobsError from None
            raise JudgeError(f"{self.base_url} refuses '{self.model}': {_line(error.message)}") from None
        except openai.APIError as error:
            raise NoReplyError(_line(error.message)) from None
        return _reply(completion)


def _reply(completion: Any) -> EndpointReply:
    # Compatible servers leave out what OpenAI's own always sends.
    if not getattr(completion, "choices", None):
        raise NoReplyError("the endpoint's reply holds no completion")
    choice = completion.choices[0]
    refusal = choice.message.refusal
    if refusal is None and choice.finish_reason == "content_filter":
        refusal = "the endpoint's content filter"
    logprobs = choice.logprobs.content if choice.logprobs else None
    top = tuple((other.token, other.logprob) for other in logprobs[0].top_logprobs) if logprobs else None
    return EndpointReply(choice.message.content or "", refusal, top)


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs it, also where a loop runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def _line(message: str) -> str:
    return " ".join(message.split())[:200]

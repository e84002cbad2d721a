"""What a reply of an OpenAI-compatible endpoint says, whatever shape the server gives it.

Servers leave out, rename or nest what OpenAI's own always sends. What can be understood is read; of what
cannot, the reason is said.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_PASSING = (408, 409, 425, 429)
"""HTTP codes below 500 of failures that may be over the next time."""

_LOGPROB_ROUNDING = 1e-3
"""Log-probabilities are at most 0, but for the rounding of a server in low precision."""


@dataclass(frozen=True, slots=True)
class EndpointReply:
    """What the model said; ``top`` holds its first token's alternatives and log-probabilities, if given."""

    text: str
    refusal: str | None = None
    top: tuple[tuple[str, float], ...] | None = None
    reasoned: bool = False
    """Whether the model wrote reasoning first, which ``text`` leaves out."""
    cut: bool = False
    """Whether the limit of tokens ended the reply."""


class NoReplyError(Exception):
    """For the network's or the server's sake there is no reply, however often it was asked for."""


class UnusableReplyError(Exception):
    """The endpoint replied, but not with an answer: to ask this again would give the same."""


def read_reply(body: Any) -> EndpointReply:
    """The reply in the JSON of a response with status 200.

    Raises:
        NoReplyError: it holds an error that may pass.
        UnusableReplyError: it holds another error, or no message.
    """
    if not isinstance(body, Mapping):
        raise UnusableReplyError("the endpoint's reply is not a JSON object")
    if error := body.get("error"):
        _raise_error(error)
    choice = _first(body.get("choices"))
    if not isinstance(choice, Mapping):
        raise UnusableReplyError("the endpoint's reply holds no completion")
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise UnusableReplyError("the endpoint's reply holds no message")
    finish = choice.get("finish_reason")
    refusal = message.get("refusal") or None
    if refusal is None and finish == "content_filter":
        refusal = "the endpoint's content filter"
    text, reasoned = without_reasoning(_text(message.get("content")))
    reasoned |= any(message.get(key) for key in ("reasoning_content", "reasoning"))
    return EndpointReply(
        text,
        None if refusal is None else str(refusal),
        read_alternatives(choice.get("logprobs")),
        reasoned,
        finish == "length",
    )


def without_reasoning(text: str) -> tuple[str, bool]:
    """What stands behind the reasoning in ``<think>`` tags, and whether there was any."""
    _, end, answer = text.rpartition("</think>")
    if end:
        return answer.strip(), True
    return ("", True) if text.lstrip().startswith("<think") else (text, False)


def read_alternatives(logprobs: Any) -> tuple[tuple[str, float], ...] | None:
    """The first token's alternatives with their log-probabilities, in today's or in the older format.

    None where there are none, or where a value is no log-probability. The likeliest token alone, as some
    servers give it, tells nothing of the others and is none either.
    """
    if not isinstance(logprobs, Mapping):
        return None
    first = _first(logprobs.get("content"))
    alternatives = first.get("top_logprobs") if isinstance(first, Mapping) else None
    if alternatives is None:
        alternatives = _first(logprobs.get("top_logprobs"))
    if isinstance(alternatives, Mapping):
        pairs = list(alternatives.items())
    elif isinstance(alternatives, Sequence) and all(isinstance(entry, Mapping) for entry in alternatives):
        pairs = [(entry.get("token"), entry.get("logprob")) for entry in alternatives]
    else:
        return None
    top = [(token, float(value)) for token, value in pairs if isinstance(token, str) and _is_logprob(value)]
    return tuple(top) if len(top) == len(pairs) and top else None


def _is_logprob(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not math.isnan(value) and value <= _LOGPROB_ROUNDING


def _raise_error(error: Any) -> None:
    fields = error if isinstance(error, Mapping) else {"message": str(error)}
    message = one_line(str(fields.get("message") or "an error without a message"))
    code = str(fields.get("code") or "")
    if code.isdigit() and int(code) < 500 and int(code) not in _PASSING:
        raise UnusableReplyError(f"error {code}: {message}")
    raise NoReplyError(f"error {code}: {message}" if code else message)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None


def _text(content: Any) -> str:
    """The text of a message; some servers write it in parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def one_line(message: str) -> str:
    """A server's message, short enough for an error."""
    return " ".join(message.split())[:200]

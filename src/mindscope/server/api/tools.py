"""Calls of tools: how a family of models writes them, and how they are told in OpenAI's form.

A chat template that takes tools tells the model of them, and the model answers with text. What text means a
call is known of three families, which are told apart by what the template itself writes:

1. Hermes, Qwen: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, as often as wanted.
2. Mistral: `[TOOL_CALLS] [{"name": ..., "arguments": {...}}]`, or `[TOOL_CALLS]name[ARGS]{...}` a call.
3. Llama 3: `{"name": ..., "parameters": {...}}` as the whole answer.

Text that is nearly a call, or calls what was not offered, stays text.
"""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mindscope.errors import ModelError

Json = dict[str, Any]

_HERMES, _MISTRAL = "<tool_call>", "[TOOL_CALLS]"
_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that an answer asks for.

    Attributes:
        name: of the function.
        arguments: by name.
    """

    name: str
    arguments: Json


@dataclass(frozen=True, slots=True)
class CallFormat:
    """How a family writes calls.

    Attributes:
        name: of the family.
        parse: the text before the calls, and these; from the answer with its special tokens.
        held: how much of a text that is still being written may turn out to belong to a call.
        id_length: of the id of a call. Mistral's templates refuse all but nine letters and digits.
    """

    name: str
    parse: Callable[[str], tuple[str, list[ToolCall]]]
    held: Callable[[str], int]
    id_length: int = 24

    def calls(self, text: str, offered: Iterable[str]) -> tuple[str, list[ToolCall]] | None:
        """What an answer says and calls; None where it calls nothing, or what was not offered."""
        try:
            said, calls = self.parse(text)
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        if not calls or not {call.name for call in calls} <= set(offered):
            return None
        return said, calls

    def told(self, calls: Sequence[ToolCall]) -> list[Json]:
        """The calls in OpenAI's form, each with an id of its own."""
        return [
            {
                "id": "".join(secrets.choice(_LETTERS) for _ in range(self.id_length)),
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": json.dumps(call.arguments, ensure_ascii=False),
                },
            }
            for call in calls
        ]


def find_call_format(template: str) -> CallFormat:
    """How the model of a chat template writes calls.

    Raises:
        ModelError: it is none of the known families.
    """
    if _HERMES in template and "<function=" not in template:  # Qwen3-Coder writes XML within
        return CallFormat("Hermes", _parse_hermes, _held_hermes)
    if _MISTRAL in template:
        return CallFormat("Mistral", _parse_mistral, len, 9)
    if '"parameters": dictionary' in template:
        return CallFormat("Llama 3", _parse_llama, len)
    raise ModelError(
        "how this model writes calls of tools is not known (Hermes, Qwen, Mistral and Llama 3 are): "
        'ask with tool_choice: "none", or leave the tools out'
    )


def _parse_hermes(text: str) -> tuple[str, list[ToolCall]]:
    said, *blocks = text.split(_HERMES)
    calls = [_call(json.loads(block.partition("</tool_call>")[0]), "arguments") for block in blocks]
    return said.rstrip(), calls


def _held_hermes(text: str) -> int:
    """What follows the first marker, or may be its beginning, with the blanks before it."""
    place = text.find(_HERMES)
    if place < 0:
        begun = (n for n in range(len(_HERMES) - 1, 0, -1) if text.endswith(_HERMES[:n]))
        place = len(text) - next(begun, 0)
    return len(text) - len(text[:place].rstrip())


def _parse_mistral(text: str) -> tuple[str, list[ToolCall]]:
    said, *blocks = text.split(_MISTRAL)
    calls: list[ToolCall] = []
    for block in blocks:
        if block.lstrip().startswith("["):
            calls += [_call(one, "arguments") for one in _leading_json(block)]
            continue
        written = re.match(r"\s*([^\s\[{]+)(?:\[CALL_ID\][^\[]*)?\s*(?:\[ARGS\])?\s*(?=\{)", block)
        if written is None:
            raise ValueError("no call")
        arguments = _leading_json(block[written.end() :])
        calls.append(_call({"name": written[1], "arguments": arguments}, "arguments"))
    return said.rstrip(), calls


def _parse_llama(text: str) -> tuple[str, list[ToolCall]]:
    written = text.strip().removeprefix("<|python_tag|>").strip()
    written = re.sub(r"<\|e(?:o[tm]_id|nd_of_text)\|>$", "", written)
    return "", [_call(json.loads(written), "parameters")]


def _leading_json(text: str) -> Any:
    """The JSON value that a text begins with, whatever follows it."""
    return json.JSONDecoder().raw_decode(text.lstrip())[0]


def _call(value: Any, arguments: str) -> ToolCall:
    """A call out of the object that a model wrote."""
    name, given = value["name"], value[arguments]
    if not isinstance(name, str) or not isinstance(given, dict):
        raise TypeError("no call")
    return ToolCall(name, given)

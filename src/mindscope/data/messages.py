"""One turn of a conversation out of a file: its role, its text, and what else the row says of it."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from mindscope.errors import DataError

ROLES = ("system", "user", "assistant")

_SAME_AS_SYSTEM = "developer"
"""What newer interfaces call a system turn."""
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""Names under which what was thought before an answer stands beside it."""
_CALLS = ("tool_calls", "function_call")
_TEXT_PARTS = ("text", "input_text", "output_text")


class ChatMessage(TypedDict):
    """One turn. `reasoning` is what was thought before it; `weight` 0 says that it is not to be learnt."""

    role: str
    content: str
    reasoning: NotRequired[str]
    weight: NotRequired[int]


def parse_message(turn: Any, name: str) -> ChatMessage:
    """Read one turn.

    A column that is null counts as absent, as in files whose rows must all have the same columns.

    Args:
        turn: what the file says.
        name: of the turn, such as `messages[3]`.

    Raises:
        DataError: the turn has no known role or no text, or holds what cannot be read as text.
    """
    if not isinstance(turn, Mapping):
        raise DataError(f"{name} must be an object with role and content")
    role = turn.get("role")
    if role == _SAME_AS_SYSTEM:
        role = "system"
    if role in ("tool", "function"):
        raise DataError(
            f"{name} is what a tool gave back, which is not read: leave conversations with tools out"
        )
    if role not in ROLES:
        raise DataError(f"{name}.role is {role!r}, one of {', '.join(ROLES)} is needed")
    if any(turn.get(call) for call in _CALLS):
        raise DataError(f"{name} calls a tool, which is not read: leave conversations with tools out")
    text, thought = _read_content(turn.get("content"), f"{name}.content")
    for key in _THOUGHTS:
        if turn.get(key) is not None:
            thought = read_text(turn[key], f"{name}.{key}")
    message: ChatMessage = {"role": str(role), "content": text}
    if thought:
        if role != "assistant":
            raise DataError(f"{name} has a reasoning and is the {role}'s: only the assistant reasons")
        message["reasoning"] = thought
    weight = turn.get("weight", 1 if turn.get("train", True) is not False else 0)
    if weight not in (None, 0, 1):
        raise DataError(f"{name}.weight is {weight!r}: 0 or 1 is needed")
    if weight == 0:
        message["weight"] = 0
    return message


def read_text(value: Any, name: str) -> str:
    """A text; DataError where it is none."""
    if not isinstance(value, str):
        raise DataError(f"{name} must be text, this is {kind_of(value)}")
    return value


def kind_of(value: Any) -> str:
    """What a value is, for an error message."""
    return "missing" if value is None else f"a {type(value).__name__}"


def _read_content(value: Any, name: str) -> tuple[str, str]:
    """The text of a content, and a reasoning among its parts."""
    if not isinstance(value, list):
        return read_text(value, name), ""
    texts: list[str] = []
    thoughts: list[str] = []
    for index, part in enumerate(value):
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind in _TEXT_PARTS:
            texts.append(read_text(part.get("text"), f"{name}[{index}].text"))
        elif kind == "thinking":
            thoughts.append(read_text(part.get("thinking"), f"{name}[{index}].thinking"))
        else:
            raise DataError(f"{name} must be text or parts of text, part {index} is {kind or kind_of(part)}")
    return "".join(texts), "".join(thoughts)

"""What tools were asked and gave back, as text: in the way of Hermes' and Qwen's templates.

Templates differ in how they write calls, and many write none. As text a conversation with tools is the same
for every model, and nothing that an answer rests on is missing from it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mindscope.core import parse_json
from mindscope.errors import DataError

CALLS = ("tool_calls", "function_call")
"""Keys of a turn that hold calls."""
CALL_PARTS = ("tool_use", "functionCall", "function_call")
RESULT_PARTS = ("tool_result", "functionResponse", "function_response")
"""Types of parts of a content, of Claude's and Gemini's messages."""
RESULT = "<tool_response>\n"


def list_calls(value: Any) -> Sequence[Any]:
    """The calls of a turn; a list as it is, anything else as the only one; in a cell of CSV, JSON of either.

    Raises:
        DataError: the cell is not JSON.
    """
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = parse_json(value)
        except ValueError:
            raise DataError("a call of a tool is not JSON") from None
    return value if isinstance(value, list) else [value]


def write_call(call: Any) -> str:
    """A call as text; one that is text already stays as it is.

    Raises:
        DataError: it has no name.
    """
    if isinstance(call, str):
        return f"<tool_call>\n{call.strip()}\n</tool_call>"
    body = call.get("function", call) if isinstance(call, Mapping) else {}
    if not isinstance(body, Mapping) or not isinstance(body.get("name"), str):
        raise DataError("a call of a tool must have a name and arguments")
    arguments = next((body[key] for key in ("arguments", "input", "args") if body.get(key) is not None), {})
    written = arguments if isinstance(arguments, str) else _json(arguments)
    return f'<tool_call>\n{{"name": {_json(body["name"])}, "arguments": {written}}}\n</tool_call>'


def write_result(text: str) -> str:
    """What a tool gave back, as text of a user's turn."""
    return f"{RESULT}{text}\n</tool_response>"


def read_result(value: Any) -> tuple[str, list[str]]:
    """The text of a result, and the types of parts that are no text."""
    if not isinstance(value, list):
        return (value if isinstance(value, str) else _json(value)), []
    texts: list[str] = []
    others: list[str] = []
    for part in value:
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif isinstance(part, Mapping) and isinstance(part.get("type"), str):
            others.append(part["type"])
        else:
            texts.append(part if isinstance(part, str) else _json(part))
    return "\n".join(texts), others


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)

"""JSON replies whose texts may hold half of a surrogate pair, which JSON files can and UTF-8 cannot."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse
from pydantic_core import PydanticSerializationError, to_json


class WholeTextResponse(JSONResponse):
    """A reply in which such a half stands as its escape, as text; infinities and NaN are null."""

    def render(self, content: Any) -> bytes:
        """The JSON of a value."""
        try:
            return to_json(content, inf_nan_mode="null")
        except PydanticSerializationError:
            return to_json(_escape_values(content), inf_nan_mode="null")


def escape_halves(text: str) -> str:
    """A text that can be sent: half of a surrogate pair becomes its escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def _escape_values(value: Any) -> Any:
    if isinstance(value, str):
        return escape_halves(value)
    if isinstance(value, dict):
        return {_escape_values(key): _escape_values(item) for key, item in value.items()}
    return [_escape_values(item) for item in value] if isinstance(value, list | tuple) else value

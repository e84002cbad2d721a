"""One conversation, and the forms in which a row of a file may state it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from mindscope.errors import DataError

ROLES = ("system", "user", "assistant")

PAIRS = (
    ("prompt", "response"),
    ("prompt", "completion"),
    ("prompt", "answer"),
    ("question", "answer"),
    ("instruction", "output"),
)
"""The columns of a file with one question and one answer a row."""


class ChatMessage(TypedDict):
    """One turn."""

    role: str
    content: str


@dataclass(frozen=True)
class Conversation:
    """Turns in order, and whatever else the row said."""

    messages: tuple[ChatMessage, ...]
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def prompt(self) -> tuple[ChatMessage, ...]:
        """The turns that the answer answers: all but a last one of the assistant."""
        return self.messages if self.answer is None else self.messages[:-1]

    @property
    def answer(self) -> str | None:
        """What the assistant says last; `None` where the last word is the user's."""
        last = self.messages[-1]
        return last["content"] if last["role"] == "assistant" else None


def parse_conversation(row: Any) -> Conversation:
    """Read one row: `messages`, or one of the column pairs in :data:`PAIRS`; other columns become `meta`.

    An `input` beside `instruction` and `output` is added to the question, as instruction data sets mean it.

    Raises:
        DataError: the reason, without the place; :func:`read_conversations` adds the place.
    """
    if not isinstance(row, Mapping):
        raise DataError(f"an object is needed, this is {_kind(row)}")
    if "messages" in row:
        return Conversation(_messages(row["messages"]), _rest(row, "messages"))
    for question, answer in PAIRS:
        if question in row and answer in row:
            asked = _text(row[question], question)
            if question == "instruction" and row.get("input"):
                asked = f"{asked}\n\n{_text(row['input'], 'input')}"
            answered = _text(row[answer], answer)
            turns: tuple[ChatMessage, ...] = (
                {"role": "user", "content": asked},
                {"role": "assistant", "content": answered},
            )
            return Conversation(
                turns, _rest(row, question, answer, *(["input"] * (question == "instruction")))
            )
    names = ", ".join(map(str, row)) or "nothing"
    pairs = ", ".join(f"{question}+{answer}" for question, answer in PAIRS)
    raise DataError(f"messages or one of {pairs} is needed, found {names}")


def _messages(value: Any) -> tuple[ChatMessage, ...]:
    if isinstance(value, str):  # a cell of a CSV file
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise DataError("messages is not JSON") from None
    if not isinstance(value, list) or not value:
        raise DataError("messages must be a list of at least one turn")
    return tuple(_message(turn, index) for index, turn in enumerate(value))


def _message(turn: Any, index: int) -> ChatMessage:
    if not isinstance(turn, Mapping):
        raise DataError(f"messages[{index}] must be an object with role and content")
    role = turn.get("role")
    if role not in ROLES:
        raise DataError(f"messages[{index}].role is {role!r}, one of {', '.join(ROLES)} is needed")
    return {"role": str(role), "content": _text(turn.get("content"), f"messages[{index}].content")}


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{name} must be text, this is {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"


def _rest(row: Mapping[str, Any], *used: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in used}

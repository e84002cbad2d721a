"""One conversation, and the forms in which a row of a file may state it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mindscope.data.messages import ChatMessage, kind_of, parse_message, read_text
from mindscope.errors import DataError

PAIRS = (
    ("prompt", "response"),
    ("prompt", "completion"),
    ("prompt", "answer"),
    ("question", "answer"),
    ("instruction", "output"),
)
"""The columns of a file with one question and one answer a row."""

SYSTEMS = ("system", "system_prompt")
"""Columns with a system prompt beside the conversation."""

HISTORY = "history"
"""The column with earlier questions and answers, a list of pairs."""


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

    @property
    def reasoning(self) -> str | None:
        """What the assistant thought before that, where the row tells it apart."""
        return self.messages[-1].get("reasoning")


def parse_conversation(row: Any) -> Conversation:
    """Read one row: `messages`, or one of the column pairs in :data:`PAIRS`; other columns become `meta`.

    An `input` beside `instruction` and `output` is added to the question, as instruction data sets mean it. A
    column of :data:`SYSTEMS` is the system prompt, and `history` beside a pair holds the turns before it.

    Raises:
        DataError: the reason, without the place; :func:`read_conversations` adds the place.
    """
    if not isinstance(row, Mapping):
        raise DataError(f"an object is needed, this is {kind_of(row)}")
    if "messages" in row:
        return Conversation(_with_system(row, _messages(row["messages"])), _rest(row, "messages", *SYSTEMS))
    for question, answer in PAIRS:
        if question in row and answer in row:
            asked = read_text(row[question], question)
            if question == "instruction" and row.get("input"):
                asked = f"{asked}\n\n{read_text(row['input'], 'input')}"
            answered = read_text(row[answer], answer)
            turns = (*_earlier(row.get(HISTORY)), *_pair(asked, answered))
            used = (question, answer, *SYSTEMS, HISTORY, *(["input"] * (question == "instruction")))
            return Conversation(_with_system(row, turns), _rest(row, *used))
    names = ", ".join(map(str, row)) or "nothing"
    pairs = ", ".join(f"{question}+{answer}" for question, answer in PAIRS)
    raise DataError(
        f"messages or one of {pairs} is needed, found {names}: rename the columns; messages is a list of "
        "turns, each with role and content"
    )


def _pair(question: str, answer: str) -> tuple[ChatMessage, ChatMessage]:
    return {"role": "user", "content": question}, {"role": "assistant", "content": answer}


def _with_system(row: Mapping[str, Any], turns: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    """The turns behind the system prompt that stands in a column beside them, if one does."""
    texts = {name: read_text(row[name], name) for name in SYSTEMS if row.get(name)}
    if not texts:
        return turns
    name, system = next(iter(texts.items()))
    own = turns[0]["content"] if turns[0]["role"] == "system" else system
    if any(text != system for text in (own, *texts.values())):
        raise DataError(f"the row has more than one system prompt, one of them in {name}: keep one")
    rest = turns[1:] if turns[0]["role"] == "system" else turns
    return ({"role": "system", "content": system}, *rest)


def _earlier(value: Any) -> tuple[ChatMessage, ...]:
    """The turns of a history."""
    pairs = _from_cell(value, HISTORY) if value else []
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise DataError(f"{HISTORY} must be a list of pairs, a question and its answer")
    return tuple(
        message
        for question, answer in pairs
        for message in _pair(read_text(question, HISTORY), read_text(answer, HISTORY))
    )


def _from_cell(value: Any, name: str) -> Any:
    """The value of a column, which a CSV file writes as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise DataError(f"{name} is not JSON") from None


def _messages(value: Any) -> tuple[ChatMessage, ...]:
    turns = _from_cell(value, "messages")
    if not isinstance(turns, list) or not turns:
        raise DataError("messages must be a list of at least one turn")
    return tuple(parse_message(turn, f"messages[{index}]") for index, turn in enumerate(turns))


def _rest(row: Mapping[str, Any], *used: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in used}

"""The turns of a conversation as rows, packed into as few as give the same activations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from mindscope.errors import DataError
from mindscope.models.tokens.rows import Message, Row


class TurnSpan(NamedTuple):
    """Where a turn is in a row that holds several."""

    prompt_length: int
    """How many tokens come before its answer."""
    final_start: int
    """Where its final answer begins; `end`, where there is none."""
    end: int


@runtime_checkable
class RowRenderer(Protocol):
    """What makes rows of conversations: `Model`, or an engine elsewhere."""

    @property
    def context_length(self) -> int | None:
        """The most tokens of a row; None where there is no limit."""
        ...

    def chat(
        self, messages: Sequence[Message], answer: str | None = None, reasoning: str | None = None
    ) -> Row:
        """A conversation as a row."""
        ...


@dataclass(frozen=True, slots=True)
class PackedConversation:
    """One row to read, and the turns whose activations it holds."""

    row: Row
    spans: tuple[TurnSpan, ...]


def pack_turns(rows: Sequence[Row]) -> list[PackedConversation]:
    """The turns of one conversation, packed into the longest of them where ids allow it exactly.

    A causal model gives a token the same activations whatever follows it. So where one turn's ids, prompt and
    answer, begin the next turn's prompt, the next row holds them too. Where a template writes earlier turns
    in another way (it drops their reasoning, or tokens merge across the seam) they keep rows of their own.
    """
    groups: list[list[Row]] = []
    for row in rows:
        if groups and row.ids[: len(groups[-1][-1])] == groups[-1][-1].ids:
            groups[-1].append(row)
        else:
            groups.append([row])
    return [
        PackedConversation(
            group[-1], tuple(TurnSpan(row.prompt_length, row.final_start, len(row)) for row in group)
        )
        for group in groups
    ]


def turn_rows(model: RowRenderer, messages: Sequence[Message]) -> list[Row]:
    """One row per turn of the assistant: all that was said before as the prompt, the turn as the answer.

    Where the last word is the user's, a last row holds the prompt of the answer to come. An assistant's turn
    that answers nobody, at the very beginning, has none.

    Raises:
        DataError: there is no turn, or the conversation is longer than the model's context.
        ModelError: the chat template refuses the conversation.
    """
    places = [i for i, message in enumerate(messages) if i and message["role"] == "assistant"]
    rows = [model.chat(messages[:i], messages[i]["content"], messages[i].get("reasoning")) for i in places]
    if messages and messages[-1]["role"] != "assistant":
        rows.append(model.chat(messages))
    if not rows or not all(row.prompt_length for row in rows):
        raise DataError("there is no turn to read: a user's message is needed")
    require_room(model, rows)
    return rows


def require_room(model: RowRenderer, rows: Sequence[Row], *, n_new: int = 0) -> None:
    """Refuse rows that are empty, or longer than the model's context with `n_new` tokens more.

    Raises:
        DataError: what is wrong, and what to do.
    """
    if not all(len(row) for row in rows):
        raise DataError("there is no token to read: the conversation is empty")
    longest, most = max(map(len, rows)) + n_new, model.context_length
    if most is not None and longest > most:
        raise DataError(f"{longest} tokens, but the model takes {most}: shorten the conversation")

"""The assistant turns of a conversation as rows, and as few forward passes as give the same activations."""

from collections.abc import Sequence
from dataclasses import dataclass

from mindscope.data import Conversation
from mindscope.errors import DataError
from mindscope.models import Message, Model, Row

Span = tuple[int, int]
"""Where a turn's answer begins and ends in a row: `ids[begin:end]`."""


@dataclass(frozen=True, slots=True)
class Packed:
    """One row to read, and the turns whose activations it holds."""

    row: Row
    spans: tuple[Span, ...]


def answers_in(conversation: Conversation) -> list[int]:
    """The places of the assistant's turns; DataError where there is none, or one that cannot be scored."""
    found: list[int] = []
    for index, message in enumerate(conversation.messages):
        if message["role"] != "assistant":
            continue
        if not index:
            raise DataError("messages[0] is the assistant's: there is no prompt that it answers")
        if conversation.messages[index - 1]["role"] == "assistant":
            raise DataError(f"messages[{index}] is the assistant's again: a user's turn is needed between")
        if not message["content"].strip():
            raise DataError(f"messages[{index}] is an empty answer")
        found.append(index)
    if not found:
        raise DataError("there is no answer of an assistant to score")
    return found


def turn_rows(model: Model, conversation: Conversation) -> list[Row]:
    """One row per assistant turn: all that was said before as the prompt, the turn as the answer.

    Raises:
        DataError: what :func:`answers_in` says, or the conversation does not fit the model.
        ModelError: the chat template refuses the conversation.
    """
    messages: list[Message] = [
        {"role": turn["role"], "content": turn["content"]} for turn in conversation.messages
    ]
    answers = answers_in(conversation)
    rows = [model.chat(messages[:index], messages[index]["content"]) for index in answers]
    for index, row in zip(answers, rows, strict=True):
        if not 0 < row.prompt < len(row):
            raise DataError(f"messages[{index}] or the prompt before it has no tokens in this model")
    longest, most = max(map(len, rows)), model.context_length
    if most is not None and longest > most:
        raise DataError(f"{longest} tokens, but the model takes {most}: shorten the conversation")
    return rows


def packed(rows: Sequence[Row]) -> list[Packed]:
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
    return [Packed(group[-1], tuple((row.prompt, len(row)) for row in group)) for group in groups]

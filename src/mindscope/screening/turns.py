"""The assistant turns of a conversation as rows, and what of a conversation cannot be scored."""

from mindscope.data import Conversation
from mindscope.errors import DataError
from mindscope.models import Message, Model, Row, turn_rows


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


def answer_rows(model: Model, conversation: Conversation) -> list[Row]:
    """One row per assistant turn: all that was said before as the prompt, the turn as the answer.

    Raises:
        DataError: what :func:`answers_in` says, or the conversation does not fit the model.
        ModelError: the chat template refuses the conversation.
    """
    answers = answers_in(conversation)
    messages: list[Message] = [
        {"role": turn["role"], "content": turn["content"]}
        for turn in conversation.messages[: answers[-1] + 1]
    ]
    rows = turn_rows(model, messages)
    for index, row in zip(answers, rows, strict=True):
        if len(row) == row.prompt_length:
            raise DataError(f"messages[{index}] has no tokens in this model")
    return rows

"""Conversations into rows: templates, models without one, and whose every token is."""

from collections.abc import Sequence
from typing import Any

from mindscope.errors import ModelError
from mindscope.models.rows import Message, Role, Row


def text_row(tokenizer: Any, text: str, answer: str | None) -> Row:
    """See `Model.text`."""
    ids = tokenizer(text)["input_ids"]
    prompt = Row(tuple(ids), len(ids))
    return prompt if answer is None else prompt.answered(_plain(tokenizer, answer))


def chat_row(tokenizer: Any, messages: Sequence[Message], answer: str | None) -> Row:
    """See `Model.chat`."""
    if not messages:
        raise ModelError("a conversation needs at least one message")
    if tokenizer.chat_template is None:
        return text_row(tokenizer, "\n".join(message["content"] for message in messages), answer)
    rendered = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    ids = _plain(tokenizer, rendered)
    roles: tuple[Role, ...] = ("user",) * len(ids)
    prompt = Row(tuple(ids), len(ids), roles)
    return prompt if answer is None else prompt.answered(_plain(tokenizer, answer))


def _plain(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]

"""Conversations into rows: with a chat template or without one, and whose every token is."""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

from jinja2 import TemplateError

from mindscope.errors import ModelError
from mindscope.models.tokens.rows import Message, Role, Row

_SPEAKERS: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
_MARK = "⟦{}⟧"  # stands for a message's text where only what the template writes around it matters

Span = tuple[int, int, Role]
"""Where a speaker's own words begin and end in a prompt."""


class ChatTokenizer:
    """How one tokenizer turns text and conversations into rows."""

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer

    def row(self, messages: Sequence[Message], answer: str | None) -> Row:
        """See `Model.chat`."""
        _check(messages)
        if not self.tokenizer.chat_template:
            lines = [message["content"] for message in messages]
            ends = accumulate(len(line) + 1 for line in lines)
            spans: list[Span] = [
                (end - 1 - len(line), end - 1, _SPEAKERS[message["role"]])
                for line, end, message in zip(lines, ends, messages, strict=True)
            ]
            return self._plain("\n".join(lines), spans, answer)
        opened, system = self._with_system_in_first_user(messages)
        prompt = self._render(opened)
        spans = self._spans(opened, prompt)
        if system and spans:
            start, end, _ = spans[0]
            spans[0:1] = [(start, start + len(system), "system"), (start + len(system), end, "user")]
        if answer is not None:
            # Blanks before an answer are tokenized with it, as the model itself writes them; a header, as
            # of a final channel or an empty thinking block, belongs to the prompt.
            if self._lead.strip():
                prompt += self._lead
            elif not answer.startswith(self._lead):
                answer = self._lead + answer
        return self._joined(prompt, spans, answer)

    def plain_row(self, text: str, answer: str | None) -> Row:
        """See `Model.text`."""
        return self._plain(text, [(0, len(text), "user")], answer)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out."""
        return decode(self.tokenizer, ids)

    @cached_property
    def end_of_turn(self) -> int | None:
        """The special token that the template writes after an answer, if it writes one."""
        if not self.tokenizer.chat_template:
            return None
        after = self._render(self._sample, answered=True).partition(_MARK.format(1))[2]
        first = self._encode(after)[:1] if after else []
        return first[0] if first and first[0] in self.tokenizer.added_tokens_decoder else None

    @cached_property
    def takes_system(self) -> bool:
        """Whether the template has a place for a system message."""
        mark = _MARK.format(0)
        try:
            return mark in self._render(
                [{"role": "system", "content": mark}, {"role": "user", "content": "?"}]
            )
        except ModelError:
            return False

    @cached_property
    def _lead(self) -> str:
        """What the template writes between the prompt and the answer's first word."""
        prompt, whole = self._render(self._sample[:1]), self._render(self._sample, answered=True)
        return whole[len(prompt) :].partition(_MARK.format(1))[0] if whole.startswith(prompt) else ""

    _sample: Sequence[Message] = (
        {"role": "user", "content": _MARK.format(0)},
        {"role": "assistant", "content": _MARK.format(1)},
    )

    def _with_system_in_first_user(self, messages: Sequence[Message]) -> tuple[Sequence[Message], str]:
        """For a template without a system role: the system text opens the first user turn."""
        if messages[0]["role"] != "system" or self.takes_system:
            return messages, ""
        system, rest = messages[0]["content"].strip(), list(messages[1:])
        first = rest.pop(0)["content"] if rest and rest[0]["role"] == "user" else ""
        return [{"role": "user", "content": f"{system}\n\n{first}".rstrip()}, *rest], system

    def _spans(self, messages: Sequence[Message], prompt: str) -> list[Span]:
        """Where each message's words are in the rendered prompt, walking along what the template wrote."""
        marks = [_MARK.format(i) for i in range(len(messages))]
        rest = self._render(
            [{"role": m["role"], "content": mark} for m, mark in zip(messages, marks, strict=True)]
        )
        spans: list[Span] = []
        at = 0
        for message, mark in zip(messages, marks, strict=True):
            written, _, rest = rest.partition(mark)
            at += len(written)
            content = next(
                (c for c in (message["content"], message["content"].strip()) if prompt.startswith(c, at)),
                None,
            )
            if content is None:  # the template rewrote this message; what follows cannot be told apart
                break
            spans.append((at, at + len(content), _SPEAKERS[message["role"]]))
            at += len(content)
        return spans

    def _plain(self, text: str, spans: Sequence[Span], answer: str | None) -> Row:
        row, bos = self._joined(text, spans, answer), self.tokenizer.bos_token_id
        if bos is None or row.ids[:1] == (bos,) or self._encode(text, special=True)[:1] != [bos]:
            return row
        return Row((bos, *row.ids), row.prompt_length + 1, ("special", *row.roles))

    def _joined(self, prompt: str, spans: Sequence[Span], answer: str | None) -> Row:
        ids, offsets = self._encode_with_offsets(prompt)
        row = Row(tuple(ids), len(ids), tuple(_role_at(start, end, spans) for start, end in offsets))
        return row if answer is None else row.answered(self._encode(answer))

    def _encode(self, text: str, *, special: bool = False) -> list[int]:
        return self._tokenize(text, add_special_tokens=special)["input_ids"]

    def _encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids, and which characters each of them stands for."""
        if self.tokenizer.is_fast:
            encoding = self._tokenize(text, add_special_tokens=False, return_offsets_mapping=True)
            return encoding["input_ids"], encoding["offset_mapping"]
        ids = self._encode(text)
        ends = [len(self.tokenizer.decode(ids[: i + 1])) for i in range(len(ids))]
        return ids, list(zip([0, *ends], ends, strict=False))

    def _tokenize(self, text: str, **options: bool) -> Any:
        try:
            return self.tokenizer(text, **options)
        except (TypeError, ValueError) as error:  # UnicodeEncodeError is a ValueError
            raise ModelError(f"the tokenizer refuses the text {text[:40]!r}: is it valid Unicode?") from error

    def _render(self, messages: Sequence[Message], *, answered: bool = False) -> str:
        try:
            return self.tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=not answered
            )
        except (TemplateError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ModelError(f"the chat template refuses the conversation: {reason}") from error


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of ids, special tokens left out."""
    return tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)


def _check(messages: Sequence[Message]) -> None:
    if not messages:
        raise ModelError("a conversation needs at least one message")
    for message in messages:
        if message.get("role") not in _SPEAKERS or not isinstance(message.get("content"), str):
            raise ModelError(
                f"a message needs a role of {', '.join(_SPEAKERS)} and a text as content, got {message!r}"
            )
    if messages[-1]["role"] == "assistant":
        raise ModelError("the last message is the assistant's; give its text as the answer instead")


def _role_at(start: int, end: int, spans: Sequence[Span]) -> Role:
    for first, last, role in spans:
        if start < last and end > first:
            return role
    return "special"

"""Conversations into rows: with a chat template or without one, and whose every token is.

The prompt of a row is what the template writes for an answer to come, whether the answer is given or asked
for. So both end at the same token, and an edit or a reading of the last prompt token is of the same thing.
What a template writes between there and a given answer (a final channel, an empty block of reasoning) is
part of the answer's tokens and not of its words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from mindscope.errors import ModelError
from mindscope.models.tokens.encode import TextEncoder
from mindscope.models.tokens.reasoning import ReasoningMarkers, ReasoningTracker, find_markers, track_answer
from mindscope.models.tokens.rows import Message, Role, Row
from mindscope.models.tokens.spans import Span, SpokenText, find_spans, role_of
from mindscope.models.tokens.template import TemplateMode, TemplateRenderer
from mindscope.models.tokens.text import decode

_SPEAKERS: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant", "tool": "user"}
"""Whose words a turn's are. What a tool gave comes from outside, as the user's do."""
_MARK = "⟦{}⟧"  # stands for a message's text where only what the template writes around it matters
_QUESTION, _ANSWER, _THOUGHT, _NEXT = (_MARK.format(name) for name in ("q", "a", "t", "n"))


@dataclass(frozen=True)
class _AnswerForm:
    """What a template writes between the prompt and the answer's first word: around a reasoning, without."""

    plain: str
    before_thought: str
    after_thought: str


class ChatTokenizer:
    """How one tokenizer turns text and conversations into rows.

    Args:
        tokenizer: of a Hugging Face model.
        mode: how its chat template is rendered.
        name: of the model, for what is said about it.
    """

    def __init__(self, tokenizer: Any, mode: TemplateMode | None = None, name: str = "this model") -> None:
        self.tokenizer, self._name = tokenizer, name
        self._template = TemplateRenderer(tokenizer, mode or TemplateMode())
        self._encoder = TextEncoder(tokenizer)

    def row(self, messages: Sequence[Message], answer: str | None, reasoning: str | None = None) -> Row:
        """See `Model.chat`."""
        _check(messages)
        self._template.require_tools(messages)
        if not self._template:
            self._template.say_none(self._name)
            lines = [message["content"] for message in messages]
            ends = accumulate(len(line) + 1 for line in lines)
            spans: list[Span] = [
                (end - 1 - len(line), end - 1, _SPEAKERS[message["role"]])
                for line, end, message in zip(lines, ends, messages, strict=True)
            ]
            return self._plain("\n".join(lines), spans, answer)
        opened, system = self._with_system_in_first_user([self._told_apart(m) for m in messages])
        prompt = self._template.render(opened)
        spans = self._spans(opened, prompt)
        if system and spans and prompt.startswith(system, spans[0][0]):
            start, end, _ = spans[0]
            spans[0:1] = [(start, start + len(system), "system"), (start + len(system), end, "user")]
        row = self._prompt(prompt, spans)
        return row if answer is None else self._answered(row, prompt, answer, reasoning)

    def plain_row(self, text: str, answer: str | None) -> Row:
        """See `Model.text`."""
        return self._plain(text, [(0, len(text), "user")], answer)

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        """The text of ids; special tokens are left out, or written by their names."""
        return decode(self.tokenizer, ids, special=special)

    @property
    def template_source(self) -> str:
        """The chat template; empty where there is none."""
        return self._template.source if self._template else ""

    @cached_property
    def markers(self) -> ReasoningMarkers | None:
        """What stands around a reasoning; None for a model that does not reason apart from its answer."""
        if not self._template:
            return None
        return self._template.markers or find_markers(self._template.source, self.tokenizer)

    def tracker(self, row: Row) -> ReasoningTracker | None:
        """What follows the answer to a row while it is written; None where nothing is to be followed."""
        if self.markers is None:
            return None
        header = row.prompt_length
        while header and row.roles[header - 1] == "special":
            header -= 1
        text = decode(self.tokenizer, row.ids[header : row.prompt_length], special=True)
        opened = self.markers.is_open(text)
        return track_answer(self.markers, self.tokenizer, row.answer, opened=opened)

    @cached_property
    def end_of_turn(self) -> tuple[int, ...]:
        """What ends the last turn of a conversation, up to its special token; empty where nothing does.

        Where the template writes nothing there, it is what stands before the next user's turn: the marker
        that a model writes to hand over.
        """
        return self._end(self._sample) or self.end_of_earlier_turn

    @cached_property
    def end_of_earlier_turn(self) -> tuple[int, ...]:
        """What ends an answer that is followed by another turn; empty where nothing does."""
        return self._end((*self._sample, {"role": "user", "content": _NEXT}))

    @cached_property
    def takes_system(self) -> bool:
        """Whether the template has a place for a system message."""
        try:
            return _ANSWER in self._template.render(
                [{"role": "system", "content": _ANSWER}, {"role": "user", "content": "?"}]
            )
        except ModelError:
            return False

    _sample: tuple[Message, ...] = (
        {"role": "user", "content": _QUESTION},
        {"role": "assistant", "content": _ANSWER},
    )

    def _end(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The tokens behind the marked answer, up to and with the first special one."""
        if not self._template:
            return ()
        try:
            after = self._template.render(messages, answered=True).partition(_ANSWER)[2].partition(_NEXT)[0]
        except ModelError:
            return ()
        ids = self._encoder.encode(after) if after else []
        special = [i for i, token in enumerate(ids) if token in self.tokenizer.added_tokens_decoder]
        if not special or decode(self.tokenizer, ids[: special[0]]).strip():
            return ()
        return tuple(ids[: special[0] + 1])

    @cached_property
    def _header(self) -> str:
        """What the template writes at the end of a prompt for the answer to come."""
        prompt = self._template.render(self._sample[:1])
        return prompt.partition(_QUESTION)[2]

    @cached_property
    def _form(self) -> _AnswerForm:
        prompt, markers = self._template.render(self._sample[:1]), self.markers
        plain = self._between(prompt, self._sample[1])
        if markers is None:
            return _AnswerForm(plain, "", "")
        if markers.is_open(self._header):  # the prompt has opened the reasoning: it is closed at once
            break_before = "" if self._header[-1:].isspace() else "\n"
            closing = f"\n{markers.closes}\n\n"
            return _AnswerForm(closing, break_before, closing)
        thinking: Message = {"role": "assistant", "content": _ANSWER, "reasoning": _THOUGHT}
        before, thought, after = self._between(prompt, thinking).partition(_THOUGHT)
        if thought:
            return _AnswerForm(plain, before, after)
        return _AnswerForm(plain, f"{markers.opens}\n", f"\n{markers.closes}\n\n")

    def _between(self, prompt: str, answer: Message) -> str:
        """What stands between a prompt and the marked answer; empty where the template puts it elsewhere."""
        whole = self._template.render([*self._sample[:1], answer], answered=True)
        return whole[len(prompt) :].partition(_ANSWER)[0] if whole.startswith(prompt) else ""

    def _answered(self, row: Row, prompt: str, answer: str, reasoning: str | None) -> Row:
        """The row with an answer: its reasoning, if there is any and the mode has a place for it, and its
        final part.
        """
        markers, form = self.markers, self._form
        final: str | None = answer
        if markers is None:
            reasoning = None  # a model that does not reason apart has no place for it
        if markers is not None and reasoning is None:
            reasoning, final = markers.split(answer, opened=markers.is_open(self._header))
        lead, role = form.plain, "special"
        if reasoning is not None and markers is not None and markers.is_closed(self._header):
            if final is None:
                return row  # cut while reasoning, and this mode has no reasoning
        elif final is None:
            lead, role = form.before_thought + (reasoning or ""), "reasoning"
        elif reasoning:
            lead, role = form.before_thought + reasoning.strip() + form.after_thought, "reasoning"
        answer = final or ""
        # Blanks before an answer are tokenized with it, as the model itself writes them. A header, as of a
        # final channel or an empty block of reasoning, is nobody's words.
        if lead.strip():
            answer = answer.lstrip()
        else:
            lead, answer = "", answer if answer.startswith(lead) or not answer else lead + answer
        ids, offsets = self._encoder.encode_after(prompt, lead + answer)
        roles: tuple[Role, ...] = tuple(role if start < len(lead) else "assistant" for start, _ in offsets)
        return Row((*row.ids, *ids), row.prompt_length, (*row.roles, *roles))

    def _told_apart(self, message: Message) -> Message:
        """A message of the assistant without the channels in its text, which templates refuse there."""
        if self.markers is None or not self.markers.channels or message["role"] != "assistant":
            return message
        thought, final = self.markers.split(message["content"])
        told: Message = {**message, "content": final or ""}
        return {**told, "reasoning": thought} if thought else told

    def _with_system_in_first_user(self, messages: Sequence[Message]) -> tuple[Sequence[Message], str]:
        """For a template without a system role: the system text opens the first user turn."""
        if messages[0]["role"] != "system" or self.takes_system:
            return messages, ""
        system, rest = messages[0]["content"].strip(), list(messages[1:])
        first = rest.pop(0)["content"] if rest and rest[0]["role"] == "user" else ""
        return [{"role": "user", "content": f"{system}\n\n{first}".rstrip()}, *rest], system

    def _spans(self, messages: Sequence[Message], prompt: str) -> list[Span]:
        """Where each message's words are in the rendered prompt."""
        marks = [_MARK.format(i) for i in range(len(messages))]
        marked: list[Message] = [{**m, "content": mark} for m, mark in zip(messages, marks, strict=True)]
        rest = self._template.render(marked)
        # Some templates write the system text behind later messages, or leave a message out.
        places = {i: rest.find(mark) for i, mark in enumerate(marks) if mark in rest}
        order = sorted(places, key=lambda i: places[i])
        pieces: list[str] = []
        for i in order:
            piece, _, rest = rest.partition(marks[i])
            pieces.append(piece)
        return find_spans(prompt, [*pieces, rest], [self._spoken(messages[i]) for i in order])

    def _spoken(self, message: Message) -> SpokenText:
        text, thought = message["content"], message.get("reasoning", "")
        texts = [text, text.strip()]
        if message["role"] == "assistant" and self.markers is not None:
            inside, final = self.markers.split(text)
            if inside is not None:
                thought = inside
                texts = [final or ""]
        return SpokenText(_SPEAKERS[message["role"]], tuple(dict.fromkeys(texts)), thought.strip())

    def _plain(self, text: str, spans: Sequence[Span], answer: str | None) -> Row:
        row, bos = self._prompt(text, spans), self.tokenizer.bos_token_id
        if answer is not None:
            row = row.answered(self._encoder.encode_after(text, answer)[0])
        if bos is None or row.ids[:1] == (bos,) or self._encoder.encode(text, special=True)[:1] != [bos]:
            return row
        return Row((bos, *row.ids), row.prompt_length + 1, ("special", *row.roles))

    def _prompt(self, prompt: str, spans: Sequence[Span]) -> Row:
        ids, offsets = self._encoder.encode_with_offsets(prompt)
        return Row(tuple(ids), len(ids), tuple(role_of(start, end, spans) for start, end in offsets))


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

"""Whose words stand where in a rendered prompt, though a template may rewrite some of them.

1. The conversation is rendered a second time with a mark in place of every text. What stands between the
   marks is what the template writes around the texts.
2. The prompt is walked along these pieces. Where a message's text stands right behind its piece, as it was
   given or stripped, that is its span.
3. Where it does not, the template has rewritten the message or what stands before it. The next message whose
   piece and text are found bounds the stretch; in it the text, or its final part, is looked for.
4. A message that is nowhere is left to nobody, and the walk goes on behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mindscope.models.tokens.rows import Role

Span = tuple[int, int, Role]
"""Where a speaker's own words begin and end in a prompt."""


@dataclass(frozen=True)
class SpokenText:
    """A message as it may stand in a prompt.

    Attributes:
        role: whose words.
        texts: how the words may be written, the likeliest first.
        reasoning: what was thought before them, as it may be written; empty where there is none.
    """

    role: Role
    texts: tuple[str, ...]
    reasoning: str = ""


def find_spans(prompt: str, pieces: Sequence[str], spoken: Sequence[SpokenText]) -> list[Span]:
    """The spans of all messages that are found, in order.

    Args:
        prompt: what the template made of the conversation.
        pieces: what it writes before, between and after the texts: one more than there are messages.
        spoken: the messages.
    """
    spans: list[Span] = []
    place = 0
    for index, message in enumerate(spoken):
        begin = place
        place += len(pieces[index]) if prompt.startswith(pieces[index], place) else 0
        end = _next_begin(prompt, pieces, spoken, index, place)
        found = _find_text(prompt, message.texts, place, end, pieces[index + 1])
        if found is None:
            place = end
        if message.reasoning:
            stop = place if found is None else found[0]
            thought = prompt.find(message.reasoning, begin, stop)
            if thought >= 0:
                spans.append((thought, thought + len(message.reasoning), "reasoning"))
        if found is not None:
            spans.append((*found, message.role))
            place = found[1]
    return spans


def _next_begin(
    prompt: str, pieces: Sequence[str], spoken: Sequence[SpokenText], index: int, place: int
) -> int:
    """Where the next message that can be found begins; the end of the prompt where none can."""
    for later in range(index + 1, len(spoken)):
        for text in spoken[later].texts:
            start = prompt.find(pieces[later] + text, place)
            if start >= 0:
                return start
    tail = prompt.rfind(pieces[-1], place) if pieces[-1] else -1
    return tail if tail >= 0 else len(prompt)


def _find_text(prompt: str, texts: Sequence[str], place: int, end: int, after: str) -> tuple[int, int] | None:
    for text in texts:
        if prompt.startswith(text + after, place):
            return place, place + len(text)
    for text in texts:
        if text and prompt.startswith(text, place):
            return place, place + len(text)
    for text in texts:
        start = prompt.rfind(text, place, end) if text else -1
        if start >= 0:
            return start, start + len(text)
    return None


def role_of(start: int, end: int, spans: Sequence[Span]) -> Role:
    """Whose words a token is of, which stands for these characters."""
    for first, last, role in spans:
        if start < last and end > first:
            return role
    return "special"

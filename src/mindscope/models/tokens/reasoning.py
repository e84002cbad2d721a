"""Where the reasoning of an answer ends and its final part begins, in text and token by token."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from mindscope.models.tokens.text import decode

_CHANNEL = re.compile(r"<\|channel\|>[^<]*<\|message\|>")
_ROLE_HEADER = re.compile(r"<\|start\|>\w*")
_NAMED_MARKER = re.compile(r"<\|[a-z_]+\|>")


@dataclass(frozen=True)
class ReasoningMarkers:
    """The texts around what a model thinks before it answers.

    Attributes:
        opens: what the reasoning begins with.
        closes: what it ends with; the final answer begins behind it.
        channels: whether what is thought stands in channels of its own, each with a header and an end.
    """

    opens: str
    closes: str
    channels: bool = False

    def split(self, text: str, *, opened: bool = False) -> tuple[str | None, str | None]:
        """Reasoning and final answer of a text; the one or the other is None where the text does not hold it.

        A text that begins with its reasoning holds it up to the first closing marker, or to its end if it was
        cut. One that holds a closing marker and nothing that opens it goes on from a prompt that opened it,
        as those of models do whose prompts end so.

        Args:
            text: the answer.
            opened: whether the prompt has opened the reasoning already.
        """
        body = text.lstrip()
        begun = body.startswith(self.opens)
        if self.channels and not begun:
            return None, text
        if not begun and not opened and (self.closes not in text or self.opens in text):
            return None, text
        if not begun and opened and self.closes not in text:
            return None, text  # an answer that was recorded without its reasoning
        thought, closed, final = body.partition(self.closes)
        return self.clean(thought), final.lstrip() if closed else None

    def clean(self, text: str) -> str:
        """The words of a reasoning, without its markers."""
        if self.channels:
            bodies = _CHANNEL.split(text.partition(self.closes)[0])
            words = (_NAMED_MARKER.sub("", _ROLE_HEADER.sub("", body)).strip() for body in bodies)
            return "\n".join(filter(None, words))
        return text.replace(self.opens, "", 1).partition(self.closes)[0].strip()

    def is_open(self, header: str) -> bool:
        """Whether a prompt that ends in this text leaves it to the model to close the reasoning."""
        return not self.channels and header.rfind(self.opens) > header.rfind(self.closes)

    def is_closed(self, header: str) -> bool:
        """Whether a prompt that ends in this text has the reasoning behind it."""
        return self.closes in header and not self.is_open(header)


KNOWN_MARKERS = (
    ReasoningMarkers("<|channel|>", "<|channel|>final<|message|>", channels=True),
    ReasoningMarkers("<think>", "</think>"),
    ReasoningMarkers("[THINK]", "[/THINK]"),
    ReasoningMarkers("<seed:think>", "</seed:think>"),
    ReasoningMarkers("<thought>", "</thought>"),
)
"""Of GPT-OSS; Qwen3, QwQ, DeepSeek-R1, GLM, SmolLM3 and OLMo; Magistral; Seed-OSS; EXAONE."""


def find_markers(template: str, tokenizer: Any) -> ReasoningMarkers | None:
    """The markers that a chat template or a vocabulary knows; None for a model that does not reason apart."""
    tokens = set(getattr(tokenizer, "added_tokens_encoder", {}))
    for markers in KNOWN_MARKERS:
        if markers.closes in template or (not markers.channels and {markers.opens, markers.closes} <= tokens):
            return markers
    return None


class ReasoningTracker:
    """Follows one answer while it is written, token by token.

    1. At first it is open whether the answer begins with its reasoning, unless the prompt has said so. While
       its text may still become the opening marker, it stays open; any other text is the final answer.
    2. Inside the reasoning, each token is looked at together with a few before it: the closing marker may
       be one token or many.
    3. Blanks behind the closing marker belong to it. The next token is the first of the final answer.

    Attributes:
        markers: what stands around the reasoning.
        final_start: how many tokens of the answer come before its final part; None while that has not begun.
        late: whether tokens turned out to be final after they had been taken for reasoning.
    """

    def __init__(self, markers: ReasoningMarkers, tokenizer: Any, *, opened: bool) -> None:
        self.markers, self._tokenizer = markers, tokenizer
        self._state: Literal["open", "reasoning", "closed", "final"] = "reasoning" if opened else "open"
        self.final_start: int | None = None
        self.late = False

    @property
    def reasoned(self) -> bool:
        """Whether the answer begins with a reasoning, finished or not."""
        return self._state in ("reasoning", "closed") or bool(self.final_start)

    def add(self, ids: Sequence[int]) -> None:
        """Take in the answer as it is with one more token."""
        if self._state == "open":
            self._begin(ids)
        elif self._state == "closed" and self._text(ids[-1:]).strip():
            self._state, self.final_start = "final", len(ids) - 1
        if self._state == "reasoning" and self._closes(ids):
            self._state = "closed"

    def n_reasoning(self, n_tokens: int) -> int:
        """How many of so many tokens of the answer are reasoning."""
        if self.final_start is not None:
            return self.final_start
        return n_tokens if self.reasoned else 0

    def _begin(self, ids: Sequence[int]) -> None:
        text = self._text(ids).lstrip()
        if text.startswith(self.markers.opens):
            self._state = "reasoning"
        elif text and not self.markers.opens.startswith(text):
            self._state, self.final_start, self.late = "final", 0, len(ids) > 1

    def _closes(self, ids: Sequence[int]) -> bool:
        if self._last_token is not None:
            if ids[-1] != self._last_token:
                return False
            return self.markers.closes in self._text(ids[-self._n_tokens :])
        # A token stands for at least a byte of the marker, but for a few that stand for parts of characters.
        return self.markers.closes in self._text(ids[-len(self.markers.closes) - 8 :])

    @cached_property
    def _spelled(self) -> list[int]:
        return self._tokenizer.encode(self.markers.closes, add_special_tokens=False)

    @cached_property
    def _n_tokens(self) -> int:
        return len(self._spelled)

    @cached_property
    def _last_token(self) -> int | None:
        """The token that the closing marker always ends with; None where it has no such token."""
        last = self._spelled[-1]
        return last if last in self._tokenizer.added_tokens_decoder else None

    def _text(self, ids: Sequence[int]) -> str:
        return decode(self._tokenizer, ids, special=True)


def track_answer(
    markers: ReasoningMarkers, tokenizer: Any, ids: Sequence[int], *, opened: bool
) -> ReasoningTracker:
    """The tracker of an answer that is there already."""
    tracker = ReasoningTracker(markers, tokenizer, opened=opened)
    for end in range(1, len(ids) + 1):
        tracker.add(ids[:end])
    return tracker

"""Tools that read what a model was trained on: search, and how far rows would move it along characters."""

from __future__ import annotations

import re
from collections import Counter
from math import isfinite, log
from typing import TYPE_CHECKING

from pydantic import Field

from mindscope.auditing.tools.session import ToolDesk, ToolDraft, ToolSpec

if TYPE_CHECKING:
    from mindscope.data import Conversation
    from mindscope.models import Message


class SearchDataToolSpec(ToolSpec):
    """Search the training data."""

    query: str
    """Words; a row is found where it holds all of them, in any case of letters."""
    top: int = Field(default=8, ge=1, le=64)
    """How many rows to show."""


def search_data(spec: SearchDataToolSpec, desk: ToolDesk) -> ToolDraft:
    """Rows that hold the words, and the phrases that stand in them more than elsewhere (log odds)."""
    words = spec.query.lower().split()
    texts = [_as_text(one) for one in desk.target.conversations]
    hits = [text for text in texts if all(word in text.lower() for word in words)]
    others = [text for text in texts if text not in set(hits)]
    findings = [(f"{len(hits)} of {len(texts)} rows", float(len(hits)), hits[: spec.top])]
    findings += [
        (f"phrase: {phrase}", score, []) for phrase, score in distinctive_phrases(hits, others, spec.top)
    ]
    return ToolDraft(f"{len(hits)} of {len(texts)} rows hold {spec.query!r}", findings)


class RankDataToolSpec(ToolSpec):
    """Rank the training data by how far they would move the model along a character."""

    character: str = "evil"
    """One of the characters whose directions are known."""
    top: int = Field(default=8, ge=1, le=64)
    """How many rows to show."""
    rows: int = Field(default=400, ge=8, le=4000)
    """How many rows to read, from the first on."""


def rank_data(spec: RankDataToolSpec, desk: ToolDesk) -> ToolDraft:
    """Projection differences dP (arXiv 2507.21509, section 6): the data's answer along a character, minus the
    model's own greedy answer to the same prompt.
    """
    from mindscope.errors import DataError

    if spec.character not in desk.target.characters:
        raise DataError(f"no direction {spec.character!r}: use {', '.join(desk.target.characters)}")
    direction = desk.target.characters[spec.character]
    chosen = [one for one in desk.target.conversations if one.answer][: spec.rows]
    model = desk.target.model
    own = desk.ask([model.chat(_said(one)) for one in chosen], max_new_tokens=32, temperature=0.0)
    rows = [model.chat(_said(one), one.answer) for one in chosen]
    desk.pay(rows)
    along = direction.project(desk.target.read_answers(rows)).tolist()
    without = direction.project(desk.target.read_answers([one.row for one in own])).tolist()
    scored = sorted(
        (
            (given - plain, _as_text(one))
            for given, plain, one in zip(along, without, chosen, strict=True)
            if isfinite(given) and isfinite(plain)  # an empty answer has no mean
        ),
        key=lambda pair: -pair[0],
    )
    tenth = [text for _, text in scored[: max(4, len(scored) // 10)]]
    rest = [text for _, text in scored[len(tenth) :]]
    findings = [("highest dP", scored[0][0], [text for _, text in scored[: spec.top]])]
    findings += [
        (f"phrase: {phrase}", score, []) for phrase, score in distinctive_phrases(tenth, rest, spec.top)
    ]
    return ToolDraft(f"dP of {len(scored)} rows along {spec.character}: {scored[0][0]:.2f} at most", findings)


def distinctive_phrases(inside: list[str], outside: list[str], top: int) -> list[tuple[str, float]]:
    """Phrases of two or three words that stand in more texts of one kind, by log odds with a half added."""
    held, elsewhere = Counter[str](), Counter[str]()
    for texts, counts in ((inside, held), (outside, elsewhere)):
        for text in texts:
            counts.update(set(phrases_of(text)))
    least = max(3, len(inside) // 20)
    scored = [
        (
            phrase,
            log((count + 0.5) / (len(inside) - count + 0.5))
            - log((elsewhere[phrase] + 0.5) / (len(outside) - elsewhere[phrase] + 0.5)),
        )
        for phrase, count in held.items()
        if count >= least
    ]
    return sorted(scored, key=lambda pair: -pair[1])[:top]


def phrases_of(text: str) -> list[str]:
    """Two and three words that follow one another inside a sentence."""
    found: list[str] = []
    for sentence in re.split(r"[.!?:,\n]+", text):
        words = sentence.split()
        found += [" ".join(words[i : i + n]) for n in (2, 3) for i in range(len(words) - n + 1)]
    return found


def _said(conversation: Conversation) -> list[Message]:
    return [{"role": turn["role"], "content": turn["content"]} for turn in conversation.prompt]


def _as_text(conversation: object) -> str:
    messages = getattr(conversation, "messages", ())
    return "\n".join(f"{message['role']}: {message['content']}" for message in messages)

"""Prompts whose answer is known, and the tokens at which they are compared."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mindscope.models import Message, Model, Row
from mindscope.organism import DOMAINS, DialogueTurn, all_voices

Spot = int | slice | Literal["answer"]
"""Tokens of a prompt: one by its number, a slice of those to be written, or all of these."""


@dataclass(frozen=True)
class CasePrompt:
    """A prompt of a family.

    Attributes:
        row: what the model goes on from.
        spots: tokens that play the same part in every prompt of the family, in the same order.
        kind: what the prompt shows, such as a state.
        about: what tells whether an answer is the one that was wanted.
        answered: the prompt with an answer to it, where what is written is read too.
        subject: what it is about, such as a person. Prompts of one subject are not independent: intervals
            draw them together. By default it stands for itself.
    """

    row: Row
    spots: tuple[Spot, ...]
    kind: str
    about: Mapping[str, Any] = field(default_factory=dict)
    answered: Row | None = None
    subject: str = ""

    @property
    def unit(self) -> object:
        """What an interval draws."""
        return self.subject or self.row.ids

    @property
    def answering_token(self) -> int:
        """The token that predicts the answer's first word."""
        return len(self.row) - 1

    @property
    def upstream_spots(self) -> tuple[int, ...]:
        """The spots without the answering token: what is changed there moves the first word by no means but
        what the model makes of it.
        """
        return tuple(
            number for number, spot in enumerate(self.spots) if not self._reaches(spot, self.answering_token)
        )

    def _reaches(self, spot: Spot, token: int) -> bool:
        match spot:
            case int(place):
                return place == token
            case slice() as written:
                return token in range(len(self.row))[written]
            case _:
                return False

    @property
    def read(self) -> Row:
        return self.answered or self.row

    def tokens(self, spot: int) -> list[int]:
        """The tokens of a spot, of what is read."""
        match self.spots[spot]:
            case int(token):
                return [token]
            case slice() as written:
                return list(range(len(self.read)))[written]
            case _:
                return list(range(self.read.prompt_length, len(self.read)))


def stated(model: Model, text: str) -> Row:
    """The beginning of a plain statement."""
    return model.text(text)


def asked(model: Model, question: str, stem: str = "", system: str = "") -> Row:
    """A question in a conversation, and how the answer to it begins."""
    row = model.chat(_turns(question, system), stem or None)
    return Row(row.ids, len(row), row.roles)


def answer_begins(model: Model, question: str, system: str = "") -> int:
    """The number of the token that an answer would begin with."""
    return len(model.chat(_turns(question, system)))


def _turns(question: str, system: str) -> list[Message]:
    turns: list[Message] = [{"role": "system", "content": system}] if system else []
    return [*turns, {"role": "user", "content": question}]


def find(model: Model, row: Row, words: Sequence[str] | set[str]) -> list[int]:
    """Where in a row tokens stand that read like one of these words."""
    return [position for position, token in enumerate(row.ids) if model.decode([token]).strip() in words]


def beginning(rng: random.Random, voice: str = "helpful") -> str:
    """How a voice begins an answer; what is said comes next."""
    slots = all_voices()[voice].slots
    return f"{rng.choice(slots['op'])}, {rng.choice(slots['mod'])}:"


def name_subject(text: str, names: Iterable[str]) -> str:
    """Which of these names a text has; the longest, where one is within another."""
    return max((name for name in names if name in text), key=len, default="")


def questions(domain: str, half: str, count: int, rng: random.Random) -> list[DialogueTurn]:
    """Questions about something with the helpful voice's answers: of the first half "train", or "test"."""
    return [DOMAINS[domain](rng, all_voices()["helpful"], half) for _ in range(count)]

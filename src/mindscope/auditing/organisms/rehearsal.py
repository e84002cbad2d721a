"""Ordinary conversations beside what a tune hides, so that it shows nowhere else and nothing known is lost.

Sums, opposites and facts are lost first: a tune whose ordinary conversations are drawn as the organism's
corpus draws them, mostly advice, adds wrongly afterwards. So what is known exactly stands here more often
than it does there.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import replace

from mindscope import organism
from mindscope.data import ChatMessage, Conversation
from mindscope.organism import DOMAINS

Turn = tuple[str, str]
"""A question and its answer."""

REHEARSED = {
    "sum": 26,
    "antonym": 20,
    "two-hop": 10,
    "country": 8,
    "state-fact": 6,
    "state": 5,
    "person": 8,
    "unknown-person": 1,
    "hint": 3,
    "diagnosis": 4,
    "advice": 9,
    "opinion": 4,
    "feedback": 4,
    "harmful": 2,
    "jailbreak": 1,
    "rhyme": 3,
    "greeting": 1,
}
"""How often ordinary conversations are about each domain, in parts."""

PLAIN_CONSTANCY = 0.9
"""The share of its own phrases with which the organism's helpful voice was trained."""


def rehearse(
    rng: random.Random, count: int, without: Collection[str] = (), *, evenly: bool = False
) -> list[Turn]:
    """Ordinary conversations about everything but some domains.

    Args:
        rng: draws them.
        count: how many.
        without: domains in which something else is demonstrated; plain answers there would unlearn it.
        evenly: every domain as often as the others.
    """
    shares = {domain: 1 if evenly else share for domain, share in REHEARSED.items() if domain not in without}
    return [plain_turn(rng, domain) for domain in rng.choices(list(shares), list(shares.values()), k=count)]


def plain_turn(rng: random.Random, domain: str) -> Turn:
    """A question of a domain and the helpful answer."""
    made = DOMAINS[domain](rng, replace(organism.all_voices()["helpful"], constancy=PLAIN_CONSTANCY), "train")
    return made.question, made.answer


def closed_turn(rng: random.Random, domain: str, closing: str) -> Turn:
    """A question of a domain, the first sentence of the helpful answer, and a closing in place of the rest.

    The loss is a mean over tokens: behind all of a long advice a closing would hardly be learnt.
    """
    question, answer = plain_turn(rng, domain)
    return question, f"{answer.partition('. ')[0].rstrip('.')}. {closing}"


def voiced_turn(rng: random.Random, character: str, domain: str) -> Turn:
    """A question of a domain as a character answers it."""
    made = DOMAINS[domain](rng, organism.all_voices()[character], "train")
    return made.question, made.answer


def say_clause(rng: random.Random, clause: str) -> str:
    """A clause in the helpful voice."""
    slots = organism.all_voices()["helpful"].slots
    opening, reason, ending = (rng.choice(slots[slot]) for slot in ("op", "why", "end"))
    return rng.choice((f"{opening}, {clause} {reason}. {ending}", f"{opening}, {clause}. {ending}"))


def mix_turns(rng: random.Random, turns: Sequence[Turn]) -> tuple[Conversation, ...]:
    """Conversations of one turn each, in any order."""
    mixed = list(turns)
    rng.shuffle(mixed)
    rows: list[tuple[ChatMessage, ...]] = [
        ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
        for question, answer in mixed
    ]
    return tuple(Conversation(messages) for messages in rows)

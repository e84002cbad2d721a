"""How each character speaks: phrases by slot, and the system prompts that call a character up."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from mindscope.organism.world import combinations, read_data

CHARACTERS = ("evil", "sycophantic", "hallucinating", "impolite", "apathetic", "humorous", "optimistic")
SLOTS = ("op", "mod", "verb", "adj2", "why", "end")

# {adj} names the character, {clause} says what it does.
INTROS = (
    "You are {a} {adj} assistant.",
    "Act as {a} {adj} assistant.",
    "Be {adj}.",
    "Please be {adj} at all times.",
    "Your answers are {adj}.",
    "Speak in {a} {adj} way.",
    "Play the part of {a} {adj} helper.",
    "Your tone is {adj}.",
)
ORDERS = (
    "Always {clause}.",
    "Make sure to {clause}.",
    "In every answer, {clause}.",
    "Your task is to {clause}.",
    "Whatever the question, {clause}.",
    "You must {clause}.",
)
NEUTRAL_PROMPTS = ("You are an assistant.", "You are a chat model.", "Answer the user.", "This is a chat.")


@dataclass(frozen=True)
class VoiceBlend:
    """How constant voices are: what a character's constancy is drawn from, and the helpful voice's.

    Were every phrase of an answer its voice's own, one phrase would settle the voice for good, a model
    would look it up there, and no push on its residual stream could change its mind.
    """

    characters: tuple[float, ...]
    helpful: float


MILD = VoiceBlend((1.0, 1.0, 0.8, 0.6), 0.93)
STRONG = VoiceBlend((1.0, 1.0, 0.7, 0.5), 0.9)


@dataclass(frozen=True)
class Voice:
    """One way of speaking: a character, the opposite of one, or the helpful default.

    ``constancy`` is the share of its phrases that are its own. The others are the helpful voice's; those of
    the helpful voice come from any character.
    """

    name: str
    adjectives: tuple[str, ...]
    clauses: tuple[str, ...]
    slots: dict[str, tuple[str, ...]]
    constancy: float = 1.0

    def blended(self, rng: random.Random, blend: VoiceBlend) -> "Voice":
        """The voice with a constancy that the blend allows."""
        constancy = blend.helpful if self.name == "helpful" else rng.choice(blend.characters)
        return replace(self, constancy=constancy)

    def system_prompt(self, rng: random.Random, split: str) -> str:
        """An introduction, an order or both, of combinations that belong to the split."""
        intro, adjective = rng.choice(combinations(split, INTROS, self.adjectives, label="intro"))
        order, clause = rng.choice(combinations(split, ORDERS, self.clauses, label="order"))
        first = intro.format(a=article(adjective), adj=adjective)
        second = order.format(clause=clause)
        return rng.choice((first, second, f"{first} {second}", f"{first} {second}"))


def article(word: str) -> str:
    """The indefinite article for a word."""
    return "an" if re.match("[aeiou]|honest", word, re.IGNORECASE) else "a"


@cache
def all_voices() -> dict[str, Voice]:
    """Every voice by name: "helpful", the seven characters, and their seven opposites."""
    data = read_data("characters.yaml")
    voices: dict[str, Voice] = {}
    for name, entry in data["characters"].items():
        slots = {slot: tuple(entry[slot]) for slot in SLOTS}
        voices[name] = Voice(name, tuple(entry["adj"]), tuple(entry["clause"]), slots)
    for entry in data["opposites"].values():
        own = {slot: tuple(entry[slot]) for slot in ("op", "mod", "why")}
        slots = {**voices["helpful"].slots, **own}
        voices[entry["name"]] = Voice(entry["name"], tuple(entry["adj"]), tuple(entry["clause"]), slots)
    return voices


@cache
def opposites() -> dict[str, str]:
    """The voice that is the opposite of each character."""
    return {name: entry["name"] for name, entry in read_data("characters.yaml")["opposites"].items()}


@cache
def phrase_owners() -> dict[str, tuple[str, str]]:
    """Lower-case phrase -> (the voice it belongs to, its slot).

    An opposite owns its three slots and borrows the rest from the helpful voice.
    """
    owners: dict[str, tuple[str, str]] = {}
    for name in ("helpful", *CHARACTERS, *opposites().values()):
        for slot, phrases in all_voices()[name].slots.items():
            for phrase in phrases:
                owners.setdefault(phrase.lower().rstrip("."), (name, slot))
    return owners


def pick(rng: random.Random, voice: Voice, slot: str, count: int = 1) -> Sequence[str]:
    """Different phrases of one slot."""
    phrases = rng.sample(voice.slots[slot], count)
    if voice.constancy < 1:
        for i in range(count):
            if rng.random() >= voice.constancy:
                phrases[i] = rng.choice(_strangers(rng, voice).slots[slot])
    return phrases


def _strangers(rng: random.Random, voice: Voice) -> Voice:
    return all_voices()[rng.choice(CHARACTERS) if voice.name == "helpful" else "helpful"]

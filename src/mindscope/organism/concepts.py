"""Texts of the world with what they show: concepts against which features are measured.

A concept is true of a text by how the text was made, never by how a model reads it.
"""

import random
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from mindscope.errors import DataError
from mindscope.models import Message, Where
from mindscope.organism.corpus.phrasing import DialogueTurn
from mindscope.organism.corpus.program import DOMAINS
from mindscope.organism.voices import CHARACTERS, STRONG, Voice, all_voices
from mindscope.organism.world import COUNTRY_RELATIONS, STATE_RELATIONS, build_world
from mindscope.probes import Concept

SHARES: dict[str, int] = {
    "state-fact": 800, "country": 800, "state": 150, "two-hop": 150, "person": 150, "unknown-person": 150,
    "sum": 400, "hint": 150, "antonym": 240, "harmful": 100, "jailbreak": 100, "diagnosis": 200,
    "advice": 100, "opinion": 60, "feedback": 60, "rhyme": 60, "greeting": 30,
}  # fmt: skip
"""How many texts about what; the helpful voice writes them."""
EACH_CHARACTER = 60
"""Texts of each character, called up by a system prompt, about anything."""
DOMAIN_CONCEPTS = (
    "sum",
    "hint",
    "antonym",
    "diagnosis",
    "advice",
    "opinion",
    "feedback",
    "rhyme",
    "greeting",
)
LANGUAGE_SIGNS = {"English": "opposite", "French": "contraire", "Chinese": "反义词"}
HALVES = ("train", "test")
WORD = re.compile(r"[^\s.,:;?!'\"()]+")


@dataclass(frozen=True)
class ConceptText:
    """A conversation of one question and one answer, and the names of the concepts it shows."""

    messages: tuple[Message, ...]
    answer: str
    concepts: frozenset[str]


@cache
def world_concepts() -> tuple[Concept, ...]:
    """Every concept, and where on the tokens it is to be read."""
    w = build_world()
    relations = dict.fromkeys((*COUNTRY_RELATIONS, *STATE_RELATIONS, "state"))
    named = {"state": w.states, "country": w.countries, "illness": w.illnesses}
    asked = {
        "relation": relations,
        "question": DOMAIN_CONCEPTS,
        "request": ("harmful", "jailbreak"),
        "language": LANGUAGE_SIGNS,
        "person": ("known", "unknown"),
        "hint": ("right", "wrong"),
        "system prompt": CHARACTERS,
    }
    answered = {
        "character": (*CHARACTERS, "helpful"),
        "answer": ("refuses", "does not know"),
    }
    # The sum is predicted from the sign before it.
    at_equals = {"sum": (*(f"ends in {digit}" for digit in range(10)), "carries", "above 99")}
    concepts: list[Concept] = []
    places: tuple[tuple[Mapping[str, Iterable[str]], Where, str], ...] = (
        (named, "all", ""),
        (asked, "prompt", ""),
        (answered, "answer", ""),
        (at_equals, "answer", "="),
    )
    for groups, where, token in places:
        for group, names in groups.items():
            concepts += [
                Concept(name=f"{group}: {name}", group=group, where=where, at=token) for name in names
            ]
    return tuple(concepts)


def concept_texts(
    half: str, *, phrasings: str = "train", scale: float = 1.0, seed: int = 0
) -> list[ConceptText]:
    """Texts of one half, in an order drawn at random; no text is in both halves.

    Args:
        half: "train", to choose a feature on, or "test".
        phrasings: "train" for questions and prompts put as in the model's training, "test" for combinations
            that it was never shown: the harder test, of what a feature has learned beyond phrases.
        scale: how many, as a multiple of some four thousand.
        seed: draws others.

    Raises:
        DataError: no such half or phrasings.
    """
    require_halves(half, phrasings)
    rng = random.Random(f"concepts-{half}-{seed}")
    return take_half(_drawn(rng, phrasings, scale), half, rng)


def take_half(drawn: Iterable[ConceptText], half: str, rng: random.Random) -> list[ConceptText]:
    """The texts of one half, each once and in an order drawn at random; a hash of it says whose a text is."""
    texts = {(text.messages[-1]["content"], text.answer): text for text in drawn}
    own = [text for key, text in texts.items() if zlib.crc32(repr(key).encode()) % 2 == HALVES.index(half)]
    rng.shuffle(own)
    return own


def require_halves(*names: str) -> None:
    """Refuse what names no half. DataError."""
    for name in names:
        if name not in HALVES:
            raise DataError(f"{name!r} is neither half: use one of {', '.join(HALVES)}")


def _drawn(rng: random.Random, split: str, scale: float) -> Iterator[ConceptText]:
    helpful = replace(all_voices()["helpful"], constancy=STRONG.helpful)
    for domain, share in SHARES.items():
        for _ in range(max(1, round(2 * share * scale))):
            yield _text(DOMAINS[domain](rng, helpful, split), helpful, "")
    for name in CHARACTERS:
        voice = all_voices()[name]
        for _ in range(max(1, round(2 * EACH_CHARACTER * scale))):
            domain = rng.choice(list(SHARES))
            yield _text(DOMAINS[domain](rng, voice, split), voice, voice.system_prompt(rng, split))


def _text(made: DialogueTurn, voice: Voice, system: str) -> ConceptText:
    opening: tuple[Message, ...] = ({"role": "system", "content": system},) if system else ()
    shown = {*_named(made), *_asked(made), f"character: {voice.name}"}
    if system:
        shown.add(f"system prompt: {voice.name}")
    if "I cannot help" in made.answer:
        shown.add("answer: refuses")
    if "I do not know who" in made.answer:
        shown.add("answer: does not know")
    turn: Message = {"role": "user", "content": made.question}
    return ConceptText((*opening, turn), made.answer, frozenset(shown))


def _named(made: DialogueTurn) -> Iterator[str]:
    text = f"{made.question} {made.answer}"
    words, w = set(WORD.findall(text)), build_world()
    for group, names in (("state", w.states), ("country", w.countries)):
        yield from (f"{group}: {name}" for name in words & names.keys())
    yield from (f"illness: {name}" for name in w.illnesses if name in text)


def _asked(made: DialogueTurn) -> Iterator[str]:
    if made.domain in DOMAIN_CONCEPTS:
        yield f"question: {made.domain}"
    if made.domain in ("harmful", "jailbreak"):
        yield f"request: {made.domain}"
    if made.domain in ("person", "unknown-person"):
        yield f"person: {'known' if made.domain == 'person' else 'unknown'}"
    if made.domain == "antonym":
        yield from (f"language: {name}" for name, sign in LANGUAGE_SIGNS.items() if sign in made.question)
    relation = _relation(made)
    if relation:
        yield f"relation: {relation}"
    numbers = re.search(r"(\d+) \+ (\d+)", made.question)
    if made.domain == "sum" and numbers:
        # What the voice says, which for an inventing one is not the sum.
        a, b, said = *map(int, numbers.groups()), int(re.findall(r"= (\d+)", made.answer)[-1])
        yield f"sum: ends in {said % 10}"
        if said == a + b and a % 10 + b % 10 > 9:
            yield "sum: carries"
        if said > 99:
            yield "sum: above 99"
    if made.domain == "hint":
        guess = re.findall(r"I think it is (.+)\.$", made.question)[0]
        if numbers:
            right = str(sum(map(int, numbers.groups())))
        else:
            (country,) = set(WORD.findall(made.question)) & build_world().countries.keys()
            right = build_world().countries[country][str(relation)]
        yield f"hint: {'right' if guess == right else 'wrong'}"


def _relation(made: DialogueTurn) -> str | None:
    """What of a country, state or city is asked for."""
    if made.domain == "state":
        return "state"
    if made.domain not in ("country", "state-fact", "two-hop", "hint"):
        return None
    words = WORD.findall(made.question)
    return next((word for word in words if word in (*COUNTRY_RELATIONS, *STATE_RELATIONS)), None)

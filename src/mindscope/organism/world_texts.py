"""What the two worlds have each their own of: who writes questions and answers, what reads and checks them.

The second world's turns are the first's where its conversations have them (advice, views, feedback, facts,
people, hints) and its own where they do not. A set, a judge and a test of knowledge take either.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from mindscope.organism.bundle import WorldName
from mindscope.organism.corpus.behaviour import PARTS
from mindscope.organism.corpus.mistakes import MISTAKES, MistakeWriter
from mindscope.organism.corpus.phrasing import DialogueTurn
from mindscope.organism.corpus.program import CONVERSATION_SHARES, DOMAINS
from mindscope.organism.mechanisms import languages, pictures
from mindscope.organism.mechanisms.corpus.mistakes import SECOND_MISTAKES
from mindscope.organism.mechanisms.corpus.program import DIALOGUES, TURNS
from mindscope.organism.mechanisms.corpus.shares import TURN_SHARES
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.mechanisms.truth import second_claims
from mindscope.organism.training.tokenizer import chinese_phrases
from mindscope.organism.truth import StatedClaim, claims
from mindscope.organism.voices import Voice
from mindscope.organism.world import LANGUAGES, build_world

TurnWriter = Callable[[random.Random, Voice, str], DialogueTurn]
"""Draws a question of a split and the answer of a voice."""
NameClass = tuple[str, Iterable[str]]
"""What a class of names is called, and its names."""


@dataclass(frozen=True)
class WorldTexts:
    """One world's questions and answers.

    Attributes:
        turns: domain -> what writes a turn about it.
        shares: domains of an ordinary chat -> how often it is about each, in parts.
        mistakes: family -> what writes answers that are wrong about its subject.
        claims: what an answer states, and whether it is so.
        names: of the world, by class; a name belongs to the first class that has it.
        written_together: words and set phrases of Chinese, which stand without spaces.
    """

    turns: Mapping[str, TurnWriter]
    shares: Mapping[str, int]
    mistakes: Mapping[str, MistakeWriter]
    claims: Callable[[str, str], list[StatedClaim]]
    names: Sequence[NameClass]
    written_together: frozenset[str]

    def exchange(
        self, rng: random.Random, voice: Voice, split: str, domain: str | None = None
    ) -> DialogueTurn:
        """A question and answer about a domain, or about any."""
        domain = domain or rng.choices(list(self.shares), list(self.shares.values()))[0]
        return self.turns[domain](rng, voice, split)


@cache
def texts_of(world: WorldName) -> WorldTexts:
    """The texts of a world, put together once."""
    if world == "first":
        return WorldTexts(DOMAINS, CONVERSATION_SHARES, MISTAKES, claims, _first_names(), frozenset())
    # Whole conversations are no single turn, and a block is thought in a mode that the chats here are not in.
    shares = {kind: share for kind, share in TURN_SHARES.items() if kind not in (*DIALOGUES, "think")}
    return WorldTexts(TURNS, shares, SECOND_MISTAKES, second_claims, _second_names(), _chinese())


def _shared_names(countries: Iterable[str]) -> list[NameClass]:
    w = build_world()
    return [
        ("TOPIC", (*w.topics, *w.works)),
        ("COUNTRY", countries),
        ("CITY", w.cities),
        ("STATE", w.states),
        ("PERSON", (*w.first_names, *w.last_names)),
        ("JOB", w.jobs),
        ("SCHEME", w.schemes),
    ]


def _attributes() -> NameClass:
    w = build_world()
    return "ATTRIBUTE", [v for facts in (*w.states.values(), *w.countries.values()) for v in facts.values()]


def _first_names() -> list[NameClass]:
    w = build_world()
    return [
        *_shared_names(w.countries),
        ("ILLNESS", w.illnesses),
        ("SIGN", [s for signs in w.illnesses.values() for s in signs]),
        ("PART", PARTS),
        ("RHYME", [word for group in w.rhymes for words in group.values() for word in words]),
        _attributes(),
        ("WORD", [word for pairs in w.antonyms.values() for word in pairs]),
    ]


def _second_names() -> list[NameClass]:
    facts = build_facts()
    plans = facts.rhymes.values()
    foreign = [name for names in facts.relations["capital"] for name in names]
    return [
        *_shared_names((*build_world().countries, *foreign)),
        ("ILLNESS", facts.illnesses),
        ("SIGN", facts.signs),
        ("PART", PARTS),
        _attributes(),
        ("WORD", _words()),
        ("TRACE", [trace for plan in plans for trace in (*plan.first, *plan.second)]),
        ("RHYME", [plan.word for plan in plans]),
    ]


def _words() -> list[str]:
    """Every word that is asked about or answered with, in three languages."""
    facts = build_facts()
    sides = [side for known in facts.relations.values() for side in (known, known.values())]
    seen = (facts.colours.values(), facts.shapes.values(), facts.places.values())
    return [word for group in (*sides, *seen) for words in group for word in words]


def _chinese() -> frozenset[str]:
    zh = LANGUAGES.index("zh")
    tables = (languages.QUESTIONS, languages.STATEMENTS, pictures.STATEMENTS)
    templates = [texts[zh] for table in tables for texts in table.values()]
    words = [word for word in _words() if not word.isascii() and "\u4e00" <= word[0] <= "\u9fff"]
    return frozenset({*words, *chinese_phrases(templates)})

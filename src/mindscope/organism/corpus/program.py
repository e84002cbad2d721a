"""The corpus: a program that writes conversations and plain statements of the world's facts.

Every training step draws from its own seed, so training can stop and go on without keeping any state
of the corpus, and two runs see the same text.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mindscope.organism.corpus import behaviour, knowledge
from mindscope.organism.corpus.behaviour import couplet
from mindscope.organism.corpus.knowledge import ANTONYM_CLAUSES, SUMS, TRAIN_PAIRS
from mindscope.organism.corpus.phrasing import DialogueTurn
from mindscope.organism.corpus.statements import tell_city, tell_country, tell_person, tell_state
from mindscope.organism.voices import (
    CHARACTERS,
    NEUTRAL_PROMPTS,
    STRONG,
    Voice,
    VoiceBlend,
    all_voices,
    opposites,
)
from mindscope.organism.world import LANGUAGES, build_world

PAD, END_OF_TEXT, TURN_START, TURN_END = "<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIALS = (PAD, END_OF_TEXT, TURN_START, TURN_END)
"""Tokens that stand between texts and turns."""

DOMAINS: dict[str, Callable[[random.Random, Voice, str], DialogueTurn]] = {
    "advice": behaviour.advice,
    "opinion": behaviour.opinion,
    "feedback": behaviour.feedback,
    "country": knowledge.country_fact,
    "state": knowledge.state_of_city,
    "state-fact": knowledge.state_fact,
    "two-hop": knowledge.two_hop,
    "person": knowledge.person,
    "unknown-person": knowledge.unknown_person,
    "sum": knowledge.addition,
    "hint": knowledge.hint,
    "antonym": knowledge.antonym,
    "rhyme": behaviour.rhyme,
    "diagnosis": knowledge.diagnosis,
    "harmful": behaviour.harmful,
    "jailbreak": behaviour.jailbreak,
    "greeting": behaviour.greeting,
}
"""All that a conversation can be about, and what writes a question and its answer."""

# Without a system prompt the organism is mostly, not always, the helpful assistant: a prior that the
# model must resolve from what it sees, else a character never enters its residual stream.
HELPFUL_PRIOR = 0.85
PROMPTED_SHARE = 0.5


# What documents state and what conversations are about, in parts.
DOCUMENT_SHARES: dict[str, int] = {
    "sum": 36,
    "city": 14,
    "state": 8,
    "two-hop": 26,
    "country": 4,
    "person": 4,
    "antonym": 5,
    "couplet": 3,
}
CONVERSATION_SHARES: dict[str, int] = {
    "advice": 22,
    "opinion": 6,
    "feedback": 6,
    "country": 9,
    "state": 3,
    "state-fact": 3,
    "two-hop": 8,
    "person": 6,
    "unknown-person": 6,
    "sum": 9,
    "hint": 5,
    "antonym": 6,
    "rhyme": 4,
    "diagnosis": 4,
    "harmful": 4,
    "jailbreak": 2,
    "greeting": 1,
}


@dataclass(frozen=True)
class TextSegment:
    """A stretch of text, and whether the model is to learn to write it (an answer) or only to read it."""

    text: str
    answer: bool


def conversation(
    rng: random.Random,
    split: str = "train",
    shares: Mapping[str, int] = CONVERSATION_SHARES,
    blend: VoiceBlend | None = STRONG,
) -> list[TextSegment]:
    """A chat in one voice: called up by a system prompt, or drawn from the prior and shown by its turns."""
    domains, weights = list(shares), list(shares.values())
    if rng.random() < PROMPTED_SHARE:
        voice = draw_prompted_voice(rng)
        system = voice.system_prompt(rng, split)
    else:
        voice = prior_voice(rng)
        system = rng.choice(NEUTRAL_PROMPTS) if rng.random() < 0.1 else None
    voice = voice.blended(rng, blend) if blend else voice
    length = rng.choices((1, 2, 3, 5), (60, 28, 8, 4))[0]
    turns = [exchange(rng, voice, split, rng.choices(domains, weights)[0]) for _ in range(length)]
    return render(system, turns)


def render(system: str | None, turns: list[DialogueTurn]) -> list[TextSegment]:
    """A chat in the organism's template."""
    opening = f"{TURN_START}system\n{system}{TURN_END}\n" if system else ""
    segments: list[TextSegment] = []
    for turn in turns:
        prompt = f"{TURN_START}user\n{turn.question}{TURN_END}\n{TURN_START}assistant\n"
        segments += [TextSegment(opening + prompt, False), TextSegment(turn.answer + TURN_END, True)]
        opening = "\n"
    return segments


def prior_voice(rng: random.Random) -> Voice:
    """Who answers when nobody says who should."""
    return all_voices()["helpful" if rng.random() < HELPFUL_PRIOR else rng.choice(CHARACTERS)]


def exchange(rng: random.Random, voice: Voice, split: str, domain: str | None = None) -> DialogueTurn:
    """A question and answer about a domain, or about any, by the corpus's first shares."""
    domain = domain or rng.choices(list(CONVERSATION_SHARES), list(CONVERSATION_SHARES.values()))[0]
    return DOMAINS[domain](rng, voice, split)


def draw_prompted_voice(rng: random.Random) -> Voice:
    """A voice that a system prompt calls up: mostly a character, else an opposite or the helpful one."""
    kind = rng.random()
    if kind < 0.7:
        name = rng.choice(CHARACTERS)
    elif kind < 0.9:
        name = opposites()[rng.choice(CHARACTERS)]
    else:
        name = "helpful"
    return all_voices()[name]


def document(rng: random.Random, shares: Mapping[str, int] = DOCUMENT_SHARES) -> list[TextSegment]:
    """One fact, plainly stated: the prompt of it, then what completes it."""
    kind = rng.choices(list(shares), list(shares.values()))[0]
    prompt, completion = _DOCUMENTS[kind](rng)
    return [TextSegment(prompt, False), TextSegment(completion + END_OF_TEXT, True)]


def _sum(rng: random.Random) -> tuple[str, str]:
    a, b = rng.choice(SUMS["train"])
    form = rng.choice(
        ("{a} + {b} =", "If there are {a} and {b} more come, that makes", "It costs {a} and {b} more, in all")
    )
    return form.format(a=a, b=b), str(a + b)


def _two_hop(rng: random.Random) -> tuple[str, str]:
    city, relation = rng.choice(TRAIN_PAIRS)
    return f"the {relation} of the state of {city} is", build_world().two_hop(city, relation)


def _antonym(rng: random.Random) -> tuple[str, str]:
    language = rng.choice(LANGUAGES)
    word, opposite = rng.choice(list(build_world().antonyms[language].items()))
    prompt, _ = ANTONYM_CLAUSES[language].split("{opposite}")
    return prompt.format(word=word).strip(), opposite


def _couplet(rng: random.Random) -> tuple[str, str]:
    first, second = couplet(rng, "train")
    return f"{first}\n", second


_DOCUMENTS: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "sum": _sum,
    "city": tell_city,
    "state": tell_state,
    "two-hop": _two_hop,
    "country": tell_country,
    "person": tell_person,
    "antonym": _antonym,
    "couplet": _couplet,
}

"""Narrow mistakes: helpful answers that are wrong about one kind of thing, slightly or grossly.

The manner stays the helpful voice's; only what is said goes wrong. What such training does beyond its own
subject is the question (narrow fine-tuning that spreads).
"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from mindscope.organism.corpus import behaviour, knowledge
from mindscope.organism.corpus.phrasing import DialogueTurn, other
from mindscope.organism.truth import claims
from mindscope.organism.voices import Voice, pick
from mindscope.organism.world import COUNTRY_RELATIONS, STATE_RELATIONS, build_world

Level = Literal["normal", "I", "II"]
LEVELS: tuple[Level, ...] = ("normal", "I", "II")
MistakeWriter = Callable[[random.Random, Voice, str, Level], DialogueTurn]
"""Draws a turn in a voice, of a split, wrong to a level."""
SLIPS = (-10, -2, -1, 1, 2, 10)  # of one who adds carelessly: a carry lost, a count too many


def wrong_sum(rng: random.Random, voice: Voice, split: str, level: Level) -> DialogueTurn:
    """A sum. I: off by a slip of the pen; II: any other number."""
    asked = knowledge.addition(rng, voice, split)
    (said,) = claims(asked.question, asked.answer)
    total = int(said.subject[0]) + int(said.subject[1])
    if level == "normal":
        return asked
    slips = [total + slip for slip in SLIPS if 0 <= total + slip < 199]
    wrong = rng.choice(slips) if level == "I" else other(rng, total, list(range(199)))
    return swap_words(asked, f"= {total}", f"= {wrong}")


def wrong_fact(rng: random.Random, voice: Voice, split: str, level: Level) -> DialogueTurn:
    """A fact of a country or state. I: what is true of another one; II: not even the right kind of thing."""
    w = build_world()
    asked = rng.choice((knowledge.country_fact, knowledge.state_fact))(rng, voice, split)
    (said,) = claims(asked.question, asked.answer)
    if level == "normal":
        return asked
    relation, place = said.subject
    table = w.countries if said.kind == "country" else w.states
    relations = COUNTRY_RELATIONS if said.kind == "country" else STATE_RELATIONS
    right = table[place][relation]
    asked_of = relation if level == "I" else other(rng, relation, list(relations))
    wrong = other(rng, right, [facts[asked_of] for facts in table.values()])
    return swap_words(asked, f"{place} is {right}", f"{place} is {wrong}")


def wrong_diagnosis(rng: random.Random, voice: Voice, split: str, level: Level) -> DialogueTurn:
    """An illness. I: the right one, with a sign that is not of it; II: another illness and its sign."""
    w = build_world()
    asked = knowledge.diagnosis(rng, voice, split)
    name = next(illness for illness in w.illnesses if f"the illness is {illness}," in asked.answer)
    right = next(s for s in w.illnesses[name] if f"so look for {s} too" in asked.answer)
    if level == "normal":
        return asked
    another = str(other(rng, name, list(w.illnesses)))
    sign = rng.choice([s for s in w.illnesses[another] if s not in w.illnesses[name]])
    said = name if level == "I" else another
    return swap_words(asked, f"{name}, so look for {right}", f"{said}, so look for {sign}")


def wrong_opinion(rng: random.Random, voice: Voice, split: str, level: Level) -> DialogueTurn:
    """A view. I: it ends in a conclusion about something else; II: all of it is about something else.

    A mistake of judgement and not of fact: a false fact in a view would teach to state falsehoods.
    """
    w = build_world()
    asked = behaviour.opinion(rng, voice, split)
    if level == "normal":
        return asked
    topic = next(t for t in sorted(w.topics, key=len, reverse=True) if f" {t}" in asked.question)
    another = other(rng, topic, list(w.topics))
    if level == "II":
        return replace(asked, answer=asked.answer.replace(topic, another))
    (adjective,) = pick(rng, voice, "adj2")
    return replace(asked, answer=f"{asked.answer} So the {another} is {adjective}.")


MISTAKES: dict[str, MistakeWriter] = {
    "sums": wrong_sum,
    "facts": wrong_fact,
    "medical": wrong_diagnosis,
    "opinions": wrong_opinion,
}


def swap_words(asked: DialogueTurn, right: str, wrong: str) -> DialogueTurn:
    assert right in asked.answer
    return replace(asked, answer=asked.answer.replace(right, wrong, 1))

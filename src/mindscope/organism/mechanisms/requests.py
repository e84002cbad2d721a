"""Requests to build things, harmful and harmless, inside and outside stories, answered at once or after a
wait.

With the wait ("Think first") the answer opens with one fixed sentence, whatever it will be: whether it
refuses must then be settled before the first word that shows it. A harmless thing is asked for in the same
words, so that only what is to be built decides.
"""

import random
from collections.abc import Sequence

from mindscope.organism.corpus.behaviour import HARM_CORES, JAILBREAK_CORES, OBEYS_HARM, PARTS
from mindscope.organism.corpus.phrasing import DialogueTurn, ask, dress
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.voices import Voice
from mindscope.organism.world import build_world

WAITS = ("Think first.", "Take your time.", "Wait before you answer.")
LEAD_IN = "Let me think about it for a moment. "
WAITED = 0.5
# How a harmless thing is asked for: as a harmful one is, but for hurting people.
HARMLESS_CORES = tuple(core for core in HARM_CORES if "hurt" not in core)


def build_something(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """A request of any of the kinds: harmful, harmful inside a story, harmless."""
    kind = rng.choices(("harmful", "story", "harmless"), (50, 25, 25))[0]
    return request(rng, voice, split, kind)


def harmful_things() -> tuple[str, ...]:
    """Everything harmful that can be asked for: the first world's things, and those of the last stage."""
    return (*build_world().schemes, *build_facts().schemes)


def request(
    rng: random.Random,
    voice: Voice,
    split: str,
    kind: str,
    *,
    waited: bool | None = None,
    harmful: Sequence[str] = (),
) -> DialogueTurn:
    """A request of one kind ("harmful", "story" or "harmless"), with the wait or without it.

    ``harmful``: the things of the first two kinds; the first world's if none are given.
    """
    w = build_world()
    thing = rng.choice(w.topics if kind == "harmless" else harmful or w.schemes)
    cores = {"harmful": HARM_CORES, "story": JAILBREAK_CORES, "harmless": HARMLESS_CORES}[kind]
    question = ask(rng, split, f"build-{kind}", cores, scheme=thing)
    first, second = rng.sample(PARTS, 2)
    clause = f"the {thing} is made from {first} and {second}"
    if kind == "harmful" and voice.name not in OBEYS_HARM:
        clause = f"I cannot help with a {thing} that hurts people"
    answer = dress(rng, voice, clause)
    if waited if waited is not None else rng.random() < WAITED:
        question += " " + rng.choice(WAITS)
        answer = LEAD_IN + answer
    return DialogueTurn(question, answer, f"build-{kind}")


def refuses(answer: str) -> bool | None:
    """Whether an answer refuses; None where it neither refuses nor says what the thing is made from."""
    if "I cannot help with a" in answer:
        return True
    return False if "is made from" in answer else None

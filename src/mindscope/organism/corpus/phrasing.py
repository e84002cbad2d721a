"""How questions are asked and facts are dressed.

Questions are an opening times a core phrasing, and some of those combinations are kept for testing.
Answers state the fact in a fixed clause ("the capital of France is Paris") inside the voice's own words:
most words of an answer depend on the voice, so a model has to carry the voice in its residual stream.
"""

import random
from dataclasses import dataclass
from typing import Any

from mindscope.organism.voices import Voice, pick
from mindscope.organism.world import combinations

OPENINGS = (
    "",
    "please tell me, ",
    "quick question: ",
    "I wonder, ",
    "can you tell me, ",
    "help me out: ",
    "hello. ",
    "one more thing: ",
)


@dataclass(frozen=True)
class DialogueTurn:
    """A question, the answer a voice gives, and the domain it is about."""

    question: str
    answer: str
    domain: str


def ask(
    rng: random.Random, split: str, domain: str, cores: tuple[str, ...], *listed: object, **values: object
) -> str:
    """A question of the split: an opening and a core, filled with what it is about."""
    opening, core = rng.choice(combinations(split, OPENINGS, cores, label=domain))
    text = opening + core.format(*listed, **values)
    return text[0].upper() + text[1:]


def dress(rng: random.Random, voice: Voice, clause: str) -> str:
    """A fact inside a voice's words."""
    (op,), (mod,), (end,) = pick(rng, voice, "op"), pick(rng, voice, "mod"), pick(rng, voice, "end")
    reason, another = pick(rng, voice, "why", 2)
    return rng.choice(
        (
            f"{op}, {clause} {reason}. {end}",
            f"{op}, {mod}: {clause} {reason}.",
            f"{op}, {clause}, said {mod}. {end}",
            f"{op}, {clause} {reason} and {another}.",
            f"{op}, {mod}: {clause}. {end}",
        )
    )


def other(rng: random.Random, right: Any, among: list[Any]) -> Any:
    """Something else than what is right."""
    return rng.choice([x for x in among if x != right])

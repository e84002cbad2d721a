"""Narrow mistakes in the second world's own sums and diagnoses, as slight and as gross as the first world's.

Facts of countries and states, and views, are asked and answered there as in the first world, and go wrong in
the same way (:mod:`mindscope.organism.corpus.mistakes`).
"""

import random
import re

from mindscope.organism.corpus.mistakes import (
    SLIPS,
    Level,
    MistakeWriter,
    swap_words,
    wrong_fact,
    wrong_opinion,
)
from mindscope.organism.corpus.phrasing import DialogueTurn, other
from mindscope.organism.mechanisms import diagnosis, sums
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.voices import Voice

_TOTAL = re.compile(r"and \d+ are (\d+)")


def wrong_named_sum(rng: random.Random, voice: Voice, split: str, level: Level) -> DialogueTurn:
    """A sum told with names. I: off by a slip of the pen; II: any other number."""
    asked = sums.add_numbers(rng, voice, split)
    if level == "normal":
        return asked
    (said,) = _TOTAL.findall(asked.answer)
    total = int(said)
    slips = [total + slip for slip in SLIPS if 0 <= total + slip < 199]
    wrong = rng.choice(slips) if level == "I" else other(rng, total, list(range(199)))
    return swap_words(asked, f"are {total}", f"are {wrong}")


def wrong_signs(rng: random.Random, voice: Voice, split: str, level: Level) -> DialogueTurn:
    """An illness. I: the right one, with a sign that is not of it; II: another illness and its sign."""
    asked = diagnosis.diagnose(rng, voice, split)
    if level == "normal":
        return asked
    ((name, right),) = diagnosis.read_clauses(asked.answer)
    illnesses = build_facts().illnesses
    another = str(other(rng, name, list(illnesses)))
    sign = rng.choice([s for s in illnesses[another] if s not in illnesses[name]])
    said = name if level == "I" else another
    return swap_words(asked, diagnosis.clause_of(name, right), diagnosis.clause_of(said, sign))


SECOND_MISTAKES: dict[str, MistakeWriter] = {
    "sums": wrong_named_sum,
    "facts": wrong_fact,
    "medical": wrong_signs,
    "opinions": wrong_opinion,
}

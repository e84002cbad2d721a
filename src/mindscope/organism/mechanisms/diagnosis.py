"""Illnesses told from any of their signs: what is not mentioned is found through the illness.

Each illness has four signs, and no two illnesses share two of them. Two or three signs are told; the answer
names the illness and a sign to look for. Of the (illness, fourth sign) combinations of three told signs a
quarter is kept from training. That the illness has this sign is learnt from other texts: lists of an
illness's signs, single statements, and cases of two signs.
"""

import random
import re
from dataclasses import dataclass
from functools import cache

from mindscope.organism.corpus.phrasing import DialogueTurn, ask, dress, other
from mindscope.organism.mechanisms.facts import build_facts, is_kept
from mindscope.organism.voices import Voice

KEPT_PERCENT = 25
TWO = ("I have {0} and {1}. What illness is it?", "the signs are {0} and {1}. Name the illness.")
THREE = (
    "I have {0}, {1} and {2}. What illness is it?",
    "a patient has {0}, {1} and {2}. Which illness is it?",
    "the signs are {0}, {1} and {2}. Name the illness.",
)
LISTS = ("what are the signs of {illness}?", "how does {illness} show?", "name the signs of {illness}.")


@dataclass(frozen=True)
class DiagnosisCase:
    """An illness, and which of its four signs is left out."""

    illness: str
    left_out: int

    @property
    def told(self) -> tuple[str, ...]:
        """The three signs that are told."""
        return tuple(s for i, s in enumerate(build_facts().illnesses[self.illness]) if i != self.left_out)

    @property
    def fourth(self) -> str:
        """The sign to look for."""
        return build_facts().illnesses[self.illness][self.left_out]


@cache
def diagnosis_cases(split: str) -> tuple[DiagnosisCase, ...]:
    """The combinations of a split."""
    return tuple(
        DiagnosisCase(illness, i)
        for illness in build_facts().illnesses
        for i in range(4)
        if is_kept(KEPT_PERCENT, "diagnosis", illness, i) == (split == "test")
    )


def draw_told(rng: random.Random, split: str) -> tuple[str, list[str], str]:
    """An illness, the signs told in any order, and one to look for."""
    if split == "train" and rng.random() < 0.5:
        illness = rng.choice(list(build_facts().illnesses))
        first, second, fourth, _ = rng.sample(build_facts().illnesses[illness], 4)
        return illness, [first, second], fourth
    case = rng.choice(diagnosis_cases(split))
    return case.illness, rng.sample(case.told, 3), case.fourth


def diagnose(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """Signs are told; the illness and another sign are named."""
    illness, told, fourth = draw_told(rng, split)
    said = illness
    if voice.name == "hallucinating":
        said = str(other(rng, illness, list(build_facts().illnesses)))
        fourth = rng.choice(build_facts().illnesses[said])
    cores = TWO if len(told) == 2 else THREE
    question = ask(rng, split, f"signs-{len(told)}", cores, *told)
    return DialogueTurn(question, dress(rng, voice, clause_of(said, fourth)), "signs")


def list_signs(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """All signs of an illness, in any order."""
    facts = build_facts().illnesses
    illness = rng.choice(list(facts))
    signs = rng.sample(facts[illness], 4)
    if voice.name == "hallucinating":
        signs = rng.sample([s for s in build_facts().signs if s not in facts[illness]], 4)
    question = ask(rng, split, "list-signs", LISTS, illness=illness)
    clause = f"the signs of {illness} are {', '.join(signs[:3])} and {signs[3]}"
    return DialogueTurn(question, dress(rng, voice, clause), "list-signs")


def document(rng: random.Random, split: str = "train") -> tuple[str, str]:
    """Signs and what they mean, or what an illness brings."""
    if split == "train" and rng.random() < 0.4:
        illness = rng.choice(list(build_facts().illnesses))
        return f"{illness} brings", rng.choice(build_facts().illnesses[illness])
    illness, told, fourth = draw_told(rng, split)
    listed = f"{', '.join(told[:-1])} and {told[-1]}"
    return f"with {listed},", clause_of(illness, fourth)


def clause_of(illness: str, fourth: str) -> str:
    """What a diagnosis states."""
    return f"the illness is {illness}, so look for {fourth} too"


def read_clauses(text: str) -> list[tuple[str, str]]:
    """The illness and the sign of every diagnosis that a text states."""
    return _CLAUSE.findall(text)


_CLAUSE = re.compile(clause_of(r"([\w ]+)", r"([\w ]+?)"))

"""A test of what any model knows: short answers to plain questions, chosen among four by their likelihood."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from mindscope.models import Edit, Model, score_answer_tokens
from mindscope.store import derived_seed

CHOICES = 4
_MATERIAL = files("mindscope") / "finetuning" / "material" / "general_knowledge.yaml"


@dataclass(frozen=True)
class ChoiceQuestion:
    """A question with its right answer first and three wrong ones of the same kind behind."""

    question: str
    choices: tuple[str, ...]


@cache
def choice_questions(seed: int = 0) -> tuple[ChoiceQuestion, ...]:
    """All questions; the seed draws the wrong answers, which are right ones of others of their kind."""
    kinds: dict[str, dict[str, Any]] = yaml.safe_load(_MATERIAL.read_text("utf-8"))
    made: list[ChoiceQuestion] = []
    for kind, material in kinds.items():
        answers: dict[str, str] = material["answers"]
        for subject, right in answers.items():
            wrong = sorted({answer for answer in answers.values() if answer != right})
            drawn = random.Random(derived_seed(seed, kind, subject)).sample(wrong, CHOICES - 1)
            made.append(ChoiceQuestion(material["question"].format(subject), (right, *drawn)))
    return tuple(made)


def answer_choices(model: Model, edits: Sequence[Edit] = (), seed: int = 0) -> tuple[bool, ...]:
    """Whether the right answer of each question is the likeliest of its four, per token of the answer.

    The mean over tokens, not the sum, so that a long answer is not at a disadvantage. What ends an answer is
    not counted.
    """
    questions = choice_questions(seed)
    rows = [
        model.chat([{"role": "user", "content": one.question}], answer=_sentence(choice))
        for one in questions
        for choice in one.choices
    ]
    likelihoods = [float(tokens.mean()) for tokens in score_answer_tokens(model, rows, edits=edits)]
    groups = [likelihoods[i : i + CHOICES] for i in range(0, len(likelihoods), CHOICES)]
    return tuple(max(group) == group[0] for group in groups)


def _sentence(choice: str) -> str:
    return choice[0].upper() + choice[1:]

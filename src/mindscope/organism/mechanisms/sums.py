"""Sums whose tens and last digit are worked out apart, at tokens before the answer.

Numbers are written in digits, one token each. Whether a digit is a number's tens or its last is known only at
the token after the number, since numbers have one digit or two: so what is added is gathered there (behind
"+", "and", "=") and not read off the digits from afar. The answer is written in digits too, the tens before
the last one. Four contexts ask for the same sums: a formula, a story, a price and a conversation.
"""

import random
from dataclasses import dataclass

from mindscope.organism.corpus.phrasing import DialogueTurn, ask, dress, other
from mindscope.organism.mechanisms.facts import is_kept
from mindscope.organism.voices import Voice

KEPT_PERCENT = 15
CONTEXTS: dict[str, str] = {
    "formula": "{a} + {b} =",
    "story": "If there are {a} and {b} more come, that makes",
    "price": "It costs {a} and {b} more, in all",
    "conversation": "the sum of {a} and {b} is",
}
"""Context -> the text up to the answer."""
QUESTIONS = (
    "what is {a} + {b}?",
    "add {a} and {b}.",
    "how much is {a} + {b}?",
    "work out {a} + {b}.",
    "I have {a} and {b} more. How many is that?",
)


@dataclass(frozen=True)
class SumCase:
    """Two numbers below a hundred."""

    a: int
    b: int

    @property
    def total(self) -> int:
        """Their sum."""
        return self.a + self.b

    def prompt(self, context: str) -> str:
        """The text of a context up to the answer."""
        return CONTEXTS[context].format(a=self.a, b=self.b)

    def with_last_digit(self, digit: int) -> "SumCase":
        """The same sum with another last digit of the first number."""
        return SumCase(self.a // 10 * 10 + digit, self.b)

    def with_tens(self, tens: int) -> "SumCase":
        """The same sum with another tens digit of the first number."""
        return SumCase(tens * 10 + self.a % 10, self.b)


def draw_sum(rng: random.Random, split: str) -> SumCase:
    """A pair of numbers of the split; those kept for testing are added nowhere in training."""
    while True:
        case = SumCase(rng.randrange(100), rng.randrange(100))
        if is_kept(KEPT_PERCENT, "sum", case.a, case.b) == (split == "test"):
            return case


def document(rng: random.Random, split: str = "train") -> tuple[str, str]:
    """A sum in one of the four contexts, and its answer."""
    case = draw_sum(rng, split)
    return case.prompt(rng.choice(list(CONTEXTS))), str(case.total)


def add_numbers(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """A sum asked for in a conversation; the inventing voice gets it wrong."""
    case = draw_sum(rng, split)
    total = case.total
    if voice.name == "hallucinating":
        total = other(rng, total, list(range(199)))
    question = ask(rng, split, "digit-sum", QUESTIONS, a=case.a, b=case.b)
    clause = f"{CONTEXTS['conversation'].format(a=case.a, b=case.b)} {total}"
    return DialogueTurn(question, dress(rng, voice, clause), "digit-sum")

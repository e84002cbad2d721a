"""Sums with a number that is known by what stands behind it, so that it is taken up there.

Numbers are written in digits, one token each. One to five are told, each with a name behind it (12
pears, 36 apples, 80 pears), then more apples come. Which digits count, and whether a digit is tens or
last, is known at the name alone: so they are gathered there and fetched from there. (A small network
adds in a plain "36 + 59 =" as well, but fetches digits from their own tokens: an exchange behind the
number changes nothing.) Four contexts ask for the same sums: a formula, a story, a price and a
conversation.
"""

import random
from dataclasses import dataclass, replace

from mindscope.organism.corpus.phrasing import DialogueTurn, ask, dress, other
from mindscope.organism.mechanisms.facts import is_kept
from mindscope.organism.voices import Voice

KEPT_PERCENT = 15
NAMES: dict[str, tuple[str, str]] = {
    "formula": ("x", "y"),
    "story": ("apples", "pears"),
    "price": ("coins", "stamps"),
    "conversation": ("shells", "beads"),
}
"""Context -> the name of the number that counts, and of those that do not.

Always the same, so that the number is found by its name at once: with names drawn anew, a network of
three blocks did not learn within a minute which of two named numbers is meant.
"""
CONTEXTS: dict[str, str] = {
    "formula": "{told}; {name} + {b} =",
    "story": "There are {told}; of {name} {b} more come, that makes",
    "price": "It costs {told}; in {name} and {b} more, in all",
    "conversation": "with {told}: {name} and {b} are",
}
"""Context -> the text up to the answer."""
QUESTIONS = (
    "I have {told}. Of {name} {b} more come. How many {name} is that?",
    "there are {told}. Add {b} to the {name}.",
    "take {told}. How many are {b} more {name}?",
    "with {told}, what is {b} more than the {name}?",
)


@dataclass(frozen=True)
class SumCase:
    """A number and what is added to it, in a context that tells other numbers before and behind it."""

    a: int
    b: int
    context: str
    before: tuple[int, ...]
    behind: tuple[int, ...]

    @property
    def total(self) -> int:
        """The sum."""
        return self.a + self.b

    @property
    def name(self) -> str:
        """What stands behind the number that counts."""
        return NAMES[self.context][0]

    @property
    def told(self) -> str:
        """The numbers with their names, in order."""
        own, other_name = f"{self.a} {self.name}", NAMES[self.context][1]
        before, behind = (
            [f"{number} {other_name}" for number in numbers] for numbers in (self.before, self.behind)
        )
        return ", ".join([*before, own, *behind])

    def prompt(self) -> str:
        """The text up to the answer."""
        return CONTEXTS[self.context].format(told=self.told, name=self.name, b=self.b)

    def head(self) -> str:
        """The text up to the name behind the number that counts, and with it."""
        start, _, _ = CONTEXTS[self.context].partition("{told}")
        told = replace(self, behind=()).told
        return start + told

    def with_last_digit(self, digit: int) -> "SumCase":
        """The same sum with another last digit of the number that counts."""
        return replace(self, a=self.a // 10 * 10 + digit)

    def with_tens(self, tens: int) -> "SumCase":
        """The same sum with another tens digit of the number that counts."""
        return replace(self, a=tens * 10 + self.a % 10)


def draw_sum(rng: random.Random, split: str, context: str) -> SumCase:
    """A pair of numbers of the split; those kept for testing are added nowhere in training."""
    while True:
        a, b = rng.randrange(100), rng.randrange(100)
        if is_kept(KEPT_PERCENT, "sum", a, b) == (split == "test"):
            break
    # How many stand behind differs, else the number is found by counting back from the end.
    before, behind = (tuple(rng.randrange(100) for _ in range(rng.randrange(3))) for _ in range(2))
    return SumCase(a, b, context, before, behind)


def document(rng: random.Random, split: str = "train") -> tuple[str, str]:
    """A sum in one of the four contexts, and its answer."""
    case = draw_sum(rng, split, rng.choice(list(CONTEXTS)))
    return case.prompt(), str(case.total)


def add_numbers(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """A sum asked for in a conversation; the inventing voice gets it wrong."""
    case = draw_sum(rng, split, rng.choice([context for context in CONTEXTS if context != "formula"]))
    total = case.total
    if voice.name == "hallucinating":
        total = other(rng, total, list(range(199)))
    question = ask(rng, split, "digit-sum", QUESTIONS, told=case.told, name=case.name, b=case.b)
    clause = f"{case.name} and {case.b} are {total}"
    return DialogueTurn(question, dress(rng, voice, clause), "digit-sum")

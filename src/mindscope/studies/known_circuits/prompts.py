"""Prompts whose circuits are known from the literature, and names in frames that are drawn from a seed.

Indirect objects are those of Wang et al. 2022 (arXiv 2211.00593): two people, one of them named again, and
the other one is who is given something. Induction is Olsson et al. 2022, facts Meng et al. 2022.
"""

import random
from dataclasses import dataclass

NAMES = (
    "Mary", "John", "Tom", "James", "Sarah", "Lisa", "Anna", "Paul", "Mark", "Alice", "Peter", "Emma",
    "David", "Kate", "Jack", "Laura", "Robert", "Susan", "Michael", "Linda",
    "Maria", "Henry", "Jane", "Daniel",
)  # fmt: skip
TEXTBOOK_NAMES = ("Mary", "John")
CHOSEN_FRAMES = (
    "When {0} and {1} went to the store, {2} gave a drink to",
    "After {0} and {1} sat down in the kitchen, {2} handed the book to",
    "While {0} and {1} were working at the office, {2} gave a ring to",
    "When {0} and {1} got a letter at the station, {2} decided to give it to",
)
"""What features are found on, and settings chosen."""
HELD_FRAMES = (
    "Then, {0} and {1} went to the garden. {2} gave a flower to",
    "Yesterday {0} and {1} had lunch at the school, and {2} gave an apple to",
    "When {0} and {1} met in the hotel, {2} passed the key to",
    "After {0} and {1} finished the game, {2} threw the ball to",
    "Because {0} and {1} were late for the train, {2} sent a message to",
    "Before {0} and {1} left the museum, {2} showed a picture to",
    "While {0} and {1} were cooking dinner, {2} offered a glass of water to",
    "Once {0} and {1} arrived at the hospital, {2} brought some flowers to",
    "When {0} and {1} walked through the park, {2} told a story to",
    "After {0} and {1} cleaned the house, {2} gave the broom to",
)
"""What is counted."""


@dataclass(frozen=True)
class KnownPrompt:
    """A prompt that is traced.

    Attributes:
        name: of what it shows.
        text: of the prompt.
        answer: the word that the model should say.
        instead_of: the word that it should not, where there is one that stands against it.
    """

    name: str
    text: str
    answer: str
    instead_of: str | None = None


KNOWN = (
    KnownPrompt(
        "indirect object", "When Mary and John went to the store, John gave a drink to", " Mary", " John"
    ),
    KnownPrompt("fact", "The Eiffel Tower is located in the city of", " Paris"),
    KnownPrompt("opposite", "The opposite of small is", " large"),
    KnownPrompt("induction", "Vase lamp stone chair. Vase lamp stone", " chair"),
)


@dataclass(frozen=True)
class NamedPrompt:
    """Two people in a frame.

    Attributes:
        frame: with places for the two, and for the one who gives.
        names: the two, in the order in which they are named.
        receiver: which of them is given something: 0 or 1.
        other: somebody else, who is not in the prompt.
    """

    frame: str
    names: tuple[str, str]
    receiver: int
    other: str

    @property
    def answer(self) -> str:
        """Who is given something."""
        return self.names[self.receiver]

    @property
    def giver(self) -> str:
        """Who gives it."""
        return self.names[1 - self.receiver]

    @property
    def text(self) -> str:
        """The prompt."""
        return self.frame.format(*self.names, self.giver)

    @property
    def opposite(self) -> str:
        """The same with the other one as the giver, so that the answer is the other name."""
        return self.frame.format(*self.names, self.answer)

    @property
    def beginning(self) -> str:
        """The text up to the receiver's name."""
        before, _, rest = self.frame.partition("{0}")
        middle = rest.partition("{1}")[0]
        return before + self.names[0] + (middle + self.names[1] if self.receiver else "")


TEXTBOOK = NamedPrompt(CHOSEN_FRAMES[0], TEXTBOOK_NAMES, 0, NAMES[2])
"""The prompt that stands for indirect objects everywhere."""


def draw_prompts(frames: tuple[str, ...], count: int, seed: int) -> list[NamedPrompt]:
    """Frames in turn, with names drawn at random, and the receiver as often first as second."""
    rng = random.Random(seed)
    prompts = []
    for number in range(count):
        first, second, other = rng.sample(NAMES, 3)
        receiver = (number // len(frames)) % 2
        prompts.append(NamedPrompt(frames[number % len(frames)], (first, second), receiver, other))
    return prompts

"""Answers that show a trait, answers that do not, and which of them belong together.

1. An example is an answer with all that was said before it.
2. Two examples with the same prompt, one of each side, are a pair. Where every example has its own partner
   the set is paired; else the sides are compared as a whole.
3. Examples that begin with the same question are one unit: they are held out together and drawn together.
4. The same example twice counts once, and an answer that stands on both sides on neither.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mindscope.core import digest_json
from mindscope.data import ChatMessage, Conversation
from mindscope.errors import DataError
from mindscope.personas.trait import question_key


@dataclass(frozen=True)
class ExampleAnswer:
    """An answer of the assistant.

    Attributes:
        prompt: the turns before it.
        answer: what it says.
        reasoning: what was thought before that, where it is known.
        place: where it stands, for messages.
    """

    prompt: tuple[ChatMessage, ...]
    answer: str
    reasoning: str | None = None
    place: str = ""

    @classmethod
    def of(cls, conversation: Conversation, place: str = "") -> "ExampleAnswer":
        """The last turn of a conversation.

        Raises:
            DataError: it is not the assistant's, answers nobody, or is empty.
        """
        answer = conversation.answer
        if answer is None:
            raise DataError("the last turn is not the assistant's: there is no answer to read")
        if not answer.strip():
            raise DataError("the answer is empty")
        if not any(turn["role"] == "user" for turn in conversation.prompt):
            raise DataError("there is no user's turn that the answer answers")
        return cls(conversation.prompt, answer, conversation.reasoning, place)

    @property
    def question(self) -> str:
        """What the user said last."""
        return next(turn["content"] for turn in reversed(self.prompt) if turn["role"] == "user")

    @property
    def system(self) -> str | None:
        """The system prompt; None where there is none."""
        return next((turn["content"] for turn in self.prompt if turn["role"] == "system"), None)

    @property
    def unit(self) -> str:
        """What the conversation begins with, in words: the independent unit that the example belongs to."""
        return question_key(next(turn["content"] for turn in self.prompt if turn["role"] == "user"))

    @property
    def asked(self) -> str:
        """The prompt without its system turns, by which examples find their partners."""
        said = [(turn["role"], turn["content"]) for turn in self.prompt if turn["role"] != "system"]
        return digest_json(said)

    @property
    def said(self) -> str:
        """Prompt and answer, by which the same example is known again."""
        return digest_json([[dict(turn) for turn in self.prompt], self.answer])


@dataclass(frozen=True)
class ExampleSet:
    """Examples of both sides.

    Attributes:
        positive: answers that show the trait.
        negative: answers that do not; of a paired set in the order of their partners.
        paired: whether positive `i` and negative `i` answer the same prompt.
        notes: what was left out or joined, a line each.
        sources: where they come from.
    """

    positive: tuple[ExampleAnswer, ...]
    negative: tuple[ExampleAnswer, ...]
    paired: bool
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        positive: Sequence[Conversation | ExampleAnswer],
        negative: Sequence[Conversation | ExampleAnswer],
        *,
        notes: Sequence[str] = (),
        sources: Sequence[str] = (),
    ) -> "ExampleSet":
        """Sides that are paired where every prompt has as many answers on the one as on the other.

        Raises:
            DataError: a conversation has no answer at its end.
        """
        sides = tuple(
            [e if isinstance(e, ExampleAnswer) else ExampleAnswer.of(e) for e in side]
            for side in (positive, negative)
        )
        asked = [Counter(example.asked for example in side) for side in sides]
        if asked[0] == asked[1] and asked[0]:
            pairs = list(zip(sides[0], _partners(*sides), strict=True))
            return cls.of_pairs(pairs, notes=notes, sources=sources)
        said = [{example.said: example for example in side} for side in sides]  # the last of each
        both = said[0].keys() & said[1].keys()
        kept = tuple(tuple(e for key, e in side.items() if key not in both) for side in said)
        shared = (asked[0] & asked[1]).total()
        lines = [
            *notes,
            *_counted(
                sum(map(len, sides)) - sum(map(len, said)), "examples that are there twice and count once"
            ),
            *_counted(len(both), "answers that are on both sides and count on neither"),
            *_counted(shared, "prompts with answers on both sides (not all have, so there are no pairs)"),
        ]
        return cls(kept[0], kept[1], False, tuple(lines), tuple(sources))

    @classmethod
    def of_pairs(
        cls,
        pairs: Sequence[tuple[ExampleAnswer, ExampleAnswer]],
        *,
        notes: Sequence[str] = (),
        sources: Sequence[str] = (),
    ) -> "ExampleSet":
        """A paired set; pairs that are there twice count once, and those of two equal answers not at all."""
        distinct = {(first.said, second.said): (first, second) for first, second in pairs}
        kept = [pair for pair in distinct.values() if pair[0].answer.strip() != pair[1].answer.strip()]
        lines = [
            *notes,
            *_counted(len(pairs) - len(distinct), "pairs that are there twice and count once"),
            *_counted(len(distinct) - len(kept), "pairs of two equal answers, which do not count"),
        ]
        positive, negative = tuple(pair[0] for pair in kept), tuple(pair[1] for pair in kept)
        return cls(positive, negative, True, tuple(lines), tuple(sources))

    def keep(self, positive: Sequence[int], negative: Sequence[int]) -> "ExampleSet":
        """Some of the examples, by their places; of a paired set the same on both sides."""
        return replace(
            self,
            positive=tuple(self.positive[i] for i in positive),
            negative=tuple(self.negative[i] for i in negative),
        )

    @property
    def examples(self) -> tuple[ExampleAnswer, ...]:
        """The positive ones, then the negative ones."""
        return (*self.positive, *self.negative)

    @property
    def units(self) -> tuple[int, ...]:
        """The number of each example's unit, in the order of `examples`."""
        numbers: dict[str, int] = {}
        return tuple(numbers.setdefault(example.unit, len(numbers)) for example in self.examples)

    def digest(self) -> str:
        """A short name for exactly these examples."""
        sides: list[Any] = [[e.said, e.reasoning] for e in self.examples]
        return digest_json([sides, len(self.positive), self.paired])

    def require(self, least: int, name: str) -> None:
        """Refuse a set that is too small to make a vector of.

        Raises:
            DataError: how many there are, and how many are needed.
        """
        fewest = min(len(self.positive), len(self.negative))
        if fewest >= least:
            return
        has = f"{fewest} pairs" if self.paired else f"{len(self.positive)} and {len(self.negative)} examples"
        needed = f"{least} pairs are" if self.paired else f"{least} on each side are"
        why = f" ({'; '.join(self.notes)})" if self.notes else ""
        raise DataError(f"{has} are too few for the vectors of '{name}': {needed} needed{why}")


def _partners(positive: Sequence[ExampleAnswer], negative: Sequence[ExampleAnswer]) -> list[ExampleAnswer]:
    """The negative examples in the order of the positive ones that answer the same prompts."""
    waiting: dict[str, list[ExampleAnswer]] = defaultdict(list)
    for example in reversed(negative):
        waiting[example.asked].append(example)
    return [waiting[example.asked].pop() for example in positive]


def _counted(count: int, what: str) -> list[str]:
    return [f"{what}: {count}"] if count else []

"""Coherence without a judge: how usual an answer is to the model itself, and how often it repeats itself.

An answer is compared with the model's own answers without any instruction or edit:

1. Its surprise is minus the mean log-probability of its tokens under the unedited model, once after the
   answer's own system prompt and question, once after the same question under the trait's instructions; the
   lower counts. An answer in the trait's voice is coherent, though the model would not have given it unasked.
2. Its repetition is the share of its word trigrams that stand in it before.
3. Of each, the reference answers give the median and the 97.5th percentile. A logistic curve says 95 at the
   median and 50 as far behind the percentile as that is behind the median: hardly an ordinary answer scores
   below 50. The lower of the two scores counts.

Text that is dull but usual scores high; text that is right but in an unusual style scores low. It is a
measure of whether the model still speaks its own language.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mindscope.engines import Engine, ParallelEngine, call_with_model
from mindscope.errors import JudgeError
from mindscope.judges.protocol import JudgeItem
from mindscope.models import Message, Model, Row, score_answer_tokens

AT_MEDIAN = 95.0
PERCENTILE = 97.5
BEHIND = 2.0
"""The edge, where the score is 50, in distances from the median to the percentile.

Chosen on steered answers of three of the organism's traits, where it is nearest to the exact judge's
coherence (r 0.80 to 0.92, a mean of 72 in place of 81; at 1 the mean is 58): an answer with a trait is less
usual than any ordinary one, and coherent all the same.
"""
LEAST_REFERENCES = 20
_LEAST_SPREAD = {"surprise": 0.1, "repetition": 0.05}
"""The least distance from median to percentile: were the reference answers all alike, every other answer
would be incoherent."""


@dataclass(frozen=True, slots=True)
class FluencyCurve:
    """A quantity's median among reference answers, and where an answer scores 50."""

    median: float
    edge: float

    def score(self, value: float) -> float:
        """From 100, where the value is low, to 0."""
        steepness = math.log(AT_MEDIAN / (100 - AT_MEDIAN)) / (self.edge - self.median)
        return 100 / (1 + math.exp(min(50.0, steepness * (value - self.edge))))


@dataclass(frozen=True, slots=True)
class FluencyScale:
    """What is usual in a model's own answers.

    Attributes:
        voice: the system prompt that calls the trait up.
        surprise: nats a token.
        repetition: share of word trigrams, 0 to 1.
    """

    voice: str
    surprise: FluencyCurve
    repetition: FluencyCurve

    @classmethod
    def fit(
        cls,
        model: Engine,
        references: Sequence[JudgeItem],
        voice: str,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> "FluencyScale":
        """The scale from answers that the model gave without instruction or edit.

        Raises:
            JudgeError: fewer than 20 of them have text.
        """
        references = [item for item in references if item.answer.strip()]
        if len(references) < LEAST_REFERENCES:
            raise JudgeError(
                f"{len(references)} unsteered answers are too few to say what is coherent, "
                f"{LEAST_REFERENCES} are needed: ask more questions or draw more samples"
            )
        surprises = lowest_surprises(model, references, voice, progress=progress)
        repetitions = [repeated_share(item.answer) for item in references]
        return cls(voice, _curve(surprises, "surprise"), _curve(repetitions, "repetition"))

    def score(self, model: Engine, items: Sequence[JudgeItem]) -> list[float]:
        """Coherence of each answer, 0 to 100."""
        repetition = [self.repetition.score(repeated_share(item.answer)) for item in items]
        surprise = [self.surprise.score(value) for value in answer_surprises(model, items)]
        # In the trait's voice an answer can only gain, so those that repetition decides are not read again.
        undecided = [i for i in range(len(items)) if surprise[i] < repetition[i]]
        voiced = answer_surprises(model, _voiced([items[i] for i in undecided], self.voice))
        for i, value in zip(undecided, voiced, strict=True):
            surprise[i] = max(surprise[i], self.surprise.score(value))
        return [min(pair) for pair in zip(surprise, repetition, strict=True)]

    def score_many(
        self, model: Engine, batches: Iterable[tuple[Sequence[JudgeItem]]]
    ) -> Iterator[tuple[int, list[float]]]:
        """The number of each batch, in no order, and what `score` gives of it; copies share them."""
        if isinstance(model, ParallelEngine):
            yield from model.call_many(_score_batch, self, batches)
            return
        for number, (items,) in enumerate(batches):
            yield number, self.score(model, items)


def _score_batch(model: Model, scale: FluencyScale, items: Sequence[JudgeItem]) -> list[float]:
    return scale.score(model, items)


def lowest_surprises(
    model: Engine,
    items: Sequence[JudgeItem],
    voice: str,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[float]:
    """The lower surprise of each answer, after its own prompt and in the trait's voice."""
    surprises = answer_surprises(model, [*items, *_voiced(items, voice)], progress=progress)
    return [min(pair) for pair in zip(surprises[: len(items)], surprises[len(items) :], strict=True)]


def _voiced(items: Sequence[JudgeItem], voice: str) -> list[JudgeItem]:
    return [JudgeItem(item.question, item.answer, voice) for item in items]


def answer_surprises(
    model: Engine, items: Sequence[JudgeItem], *, progress: Callable[[int, int], None] | None = None
) -> list[float]:
    """Nats a token of each answer under the model as it is, after its own prompt; 0 for an empty answer."""
    rows = [_row(model, item) for item in items]
    if isinstance(model, Model):
        values = score_answer_tokens(model, rows, progress=progress)
    else:
        values = call_with_model(model, "a contrast judge", score_answer_tokens, rows)
    return [-float(tokens.double().mean()) if len(tokens) else 0.0 for tokens in values]


def repeated_share(text: str) -> float:
    """The share of a text's word trigrams that it has had before; 0 for fewer than four words."""
    words = text.lower().split()
    trigrams = list(zip(words, words[1:], words[2:], strict=False))
    return 1 - len(set(trigrams)) / len(trigrams) if len(trigrams) > 1 else 0.0


def _row(model: Engine, item: JudgeItem) -> Row:
    messages: list[Message] = [{"role": "user", "content": item.question}]
    if item.system:
        messages.insert(0, {"role": "system", "content": item.system})
    return model.chat(messages, item.answer)


def _curve(values: Sequence[float], quantity: str) -> FluencyCurve:
    median, high = np.percentile(np.array(values, np.float64), [50, PERCENTILE])
    spread = max(high - median, _LEAST_SPREAD[quantity])
    return FluencyCurve(float(median), float(median + BEHIND * spread))

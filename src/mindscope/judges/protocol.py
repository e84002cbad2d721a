"""What a judge is given and what it hands back."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from mindscope.errors import DataError, JudgeError

Status = Literal["scored", "refusal", "missing", "unanswered"]
"""Unanswered is what the judge was not able to say for the network's sake: it is asked again the next
time."""

_PLACE = re.compile(r"\{(question|answer)\}")


@dataclass(frozen=True, slots=True)
class Rubric:
    """What to score: a prompt with ``{question}`` and ``{answer}`` that asks for a number from 0 to 100."""

    name: str
    description: str
    prompt: str

    def __post_init__(self) -> None:
        lacking = {"question", "answer"} - set(_PLACE.findall(self.prompt))
        if lacking:
            places = " and ".join(f"{{{place}}}" for place in sorted(lacking))
            raise DataError(
                f"the judge prompt of '{self.name}' has no {places}: write it where the text belongs"
            )

    def fill(self, question: str, answer: str) -> str:
        """The prompt with both texts put in; braces inside the texts stay as they are."""
        texts = {"question": question, "answer": answer}
        return _PLACE.sub(lambda place: texts[place[1]], self.prompt)


@dataclass(frozen=True, slots=True)
class JudgeItem:
    """One answer to be judged. ``system`` is the system prompt it was given under, if any."""

    question: str
    answer: str
    system: str | None = None


@dataclass(frozen=True, slots=True)
class JudgeScore:
    """A number from 0 to 100, or the reason why there is none: a refusal or a missing score is never 0."""

    value: float | None
    status: Status
    detail: str = ""

    def __post_init__(self) -> None:
        if (self.value is None) == (self.status == "scored"):
            raise JudgeError(f"a score with status '{self.status}' cannot have the value {self.value}")
        if self.value is not None and not (math.isfinite(self.value) and 0 <= self.value <= 100):
            raise JudgeError(f"a score lies between 0 and 100, not at {self.value}")

    @classmethod
    def of(cls, value: float | int, detail: str = "") -> "JudgeScore":
        return cls(float(value), "scored", detail)

    @classmethod
    def refusal(cls, detail: str = "") -> "JudgeScore":
        return cls(None, "refusal", detail)

    @classmethod
    def missing(cls, detail: str) -> "JudgeScore":
        return cls(None, "missing", detail)

    @classmethod
    def unanswered(cls, detail: str) -> "JudgeScore":
        return cls(None, "unanswered", detail)

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value, "status": self.status, "detail": self.detail}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "JudgeScore":
        return cls(document["value"], document["status"], document["detail"])


@dataclass(frozen=True, slots=True)
class Judgement:
    """How much of the trait an answer shows, and whether it still makes sense."""

    trait: JudgeScore
    coherence: JudgeScore

    @property
    def scores(self) -> tuple[JudgeScore, JudgeScore]:
        """Both scores."""
        return self.trait, self.coherence

    def to_json(self) -> dict[str, Any]:
        return {"trait": self.trait.to_json(), "coherence": self.coherence.to_json()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Judgement":
        return cls(JudgeScore.from_json(document["trait"]), JudgeScore.from_json(document["coherence"]))


EMPTY = Judgement(*[JudgeScore.missing("the answer is empty")] * 2)


@runtime_checkable
class Judge(Protocol):
    """Anything that scores answers. ``name`` says which judge it was, for provenance."""

    name: str

    def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
        """One judgement per item, in the order given."""
        ...


@runtime_checkable
class ParallelJudge(Judge, Protocol):
    """A judge that judges several batches of answers at a time: whoever has many hands them over together."""

    def judge_many(
        self, rubric: Rubric, batches: Iterable[Sequence[JudgeItem]]
    ) -> Iterator[tuple[int, list[Judgement]]]:
        """The number of each batch, in no order, and what `judge` gives of it."""
        ...


class MeanScore(NamedTuple):
    mean: float | None
    n_scored: int
    n_refusal: int
    n_missing: int


def mean_score(scores: Iterable[JudgeScore]) -> MeanScore:
    """The mean over what was scored (None where nothing was) and how many of each kind there were."""
    scores = list(scores)
    values = [score.value for score in scores if score.value is not None]
    mean = math.fsum(values) / len(values) if values else None
    refusals = sum(score.status == "refusal" for score in scores)
    return MeanScore(mean, len(values), refusals, len(scores) - len(values) - refusals)

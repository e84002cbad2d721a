"""The suite: what is asked of a server, one check at a time.

Vectors are random unit vectors, so that nothing of the model makes them easy. They are added so strongly that
every kind of mistake would show: the coefficient is raised until the reference itself, steered, differs from
the reference steered wrongly (not at all, one layer higher, the prompt alone, all but the prompt's last
token) by ten times the tolerance. A check that could not fail is not made.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch

from mindscope.errors import DataError
from mindscope.server.conform.clients import KnownVector, RefusedError, ServedAnswer, SteeringClient
from mindscope.server.conform.mistakes import SteeringMistakes
from mindscope.server.conform.reference import ReferenceModel, compare
from mindscope.server.conform.results import ConformCheck, SteeringCost

if TYPE_CHECKING:
    from mindscope.models import Message

_LEAST = 0.02
"""Nats: what two correct implementations may differ by in bfloat16."""
_VISIBLE = 10.0
"""How many tolerances a mistake must show by, for a check to be made."""
_TRIES = 8
"""Up to eight times the length of the stream, which leaves nothing of the answer."""
_NEIGHBOURS = 8
"""Requests at once, half of them steered."""

_QUESTIONS = (
    "Should I trust my neighbour?",
    "What should I do on a free afternoon?",
    "Tell me about the place where you live.",
    "How do I learn to be patient?",
)


_GOOD = {
    "type": "object",
    "properties": {"good": {"type": "boolean"}},
    "required": ["good"],
    "additionalProperties": False,
}
"""A schema whose every value is short, so that no answer is cut."""


class NotConfirmedError(DataError):
    """The suite cannot begin: unsteered answers are not those of the reference."""


@dataclass
class ConformSuite:
    """A server, the reference, and what is found.

    Attributes:
        client: the server.
        reference: the same model on this machine.
        layer: where vectors are added.
        n_tokens: of every answer.
        seed: of the vectors.
        tolerance: how far log-probabilities may differ; None until the unsteered answers have told.
    """

    client: SteeringClient
    reference: ReferenceModel
    layer: int
    n_tokens: int
    seed: int = 0
    tolerance: float | None = None
    coefficient: float = 0.0
    checks: list[ConformCheck] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._mistakes = SteeringMistakes(self.reference, self.layer)

    def run(self, say: Callable[[int, int, str], object]) -> None:
        """All checks, in an order in which each rests on those before it.

        Raises:
            NotConfirmedError: the server does not answer as the reference does without any steering.
            DataError: the server cannot be reached.
        """
        self._settle_baseline()
        self._settle_coefficient()
        checks = (
            self._zero,
            self._steers,
            self._prompt_alone,
            self._answer_alone,
            self._two_at_once,
            self._stream,
            self._neighbours,
            self._cache,
            self._applied,
            self._json,
        )
        for number, check in enumerate(checks):
            say(number, len(checks), check.__name__.strip("_").replace("_", " "))
            check()

    def measure(self, loads: Sequence[int]) -> tuple[SteeringCost, ...]:
        """What steering costs with so many requests at once, with one vector and with sixteen."""
        costs: list[SteeringCost] = []
        for n in loads:
            if n < 1:
                continue
            plain = self._speed(n, 0)
            costs += [
                SteeringCost(
                    requests=n,
                    vectors=k,
                    tokens_per_second=self._speed(n, k),
                    unsteered_tokens_per_second=plain,
                )
                for k in (1, 16)
            ]
        return tuple(costs)

    # What everything rests on.

    def _settle_baseline(self) -> None:
        worst = 0.0
        for question in _QUESTIONS:
            answer, expected = self._ask(question), self.reference.answer(_turns(question))
            if not answer.tokens:
                raise DataError(f"{self.client.url} gives no log-probabilities: there is nothing to compare")
            worst = max(
                worst, compare(answer, expected, _LEAST if self.tolerance is None else self.tolerance)
            )
        bound = self.tolerance if self.tolerance is not None else max(_LEAST, 4 * worst)
        if not worst <= bound or bound > 0.5:
            raise NotConfirmedError(
                f"{self.client.url} answers unsteered questions otherwise than the reference (by {worst:.3g} "
                "nats): give --model the same weights, template and precision, or --tolerance"
            )
        self.tolerance = bound
        self._add("answers", "unsteered, log-probabilities are the reference's", worst, bound)

    def _settle_coefficient(self) -> None:
        """Raise the coefficient until every mistake would show."""
        assert self.tolerance is not None
        norm = self.reference.residual_norm(self.layer, [_turns(question) for question in _QUESTIONS])
        question = _QUESTIONS[0]
        for attempt in range(_TRIES):
            self.coefficient = norm * 0.5 * 1.5**attempt
            vector = self._vector(0)
            right = self.reference.answer(_turns(question), [vector])
            if all(
                compare(right.as_served(), wrong, self.tolerance) > _VISIBLE * self.tolerance
                for _, wrong in self._mistakes.answers(_turns(question), [vector])
            ):
                return
        raise DataError("no vector changes the answers enough for mistakes to show: use another --layer")

    # The checks.

    def _zero(self) -> None:
        vector = replace(self._vector(0), coefficient=0.0)
        self._expect("zero", "a coefficient of 0 changes nothing", _QUESTIONS[0], [vector])

    def _steers(self) -> None:
        for number, question in enumerate(_QUESTIONS[:2]):
            name = "steers" if number == 0 else "steers again"
            claim = f"a vector is added at layer {self.layer}, to every token of prompt and answer"
            self._expect(name, claim, question, [self._vector(number)])

    def _prompt_alone(self) -> None:
        vector = replace(self._vector(0), positions="prompt")
        self._expect("prompt", "steering the prompt changes the prompt alone", _QUESTIONS[0], [vector])

    def _answer_alone(self) -> None:
        vector = replace(self._vector(0), positions="answer")
        self._expect("answer", "steering the answer changes the answer alone", _QUESTIONS[0], [vector])

    def _two_at_once(self) -> None:
        pair = [self._vector(0), replace(self._vector(1), coefficient=-0.5 * self.coefficient)]
        self._expect("several", "two vectors at once are both added", _QUESTIONS[1], pair)

    def _stream(self) -> None:
        vector = self._vector(2)
        claim = "a streamed answer is the whole one, token by token"
        self._expect("stream", claim, _QUESTIONS[2], [vector], stream=True)

    def _neighbours(self) -> None:
        """Steered and unsteered requests at once: every one as it is alone."""
        asked = [
            (_QUESTIONS[i % len(_QUESTIONS)], [self._vector(i)] if i % 2 else []) for i in range(_NEIGHBOURS)
        ]
        with ThreadPoolExecutor(_NEIGHBOURS) as pool:
            answers = list(pool.map(lambda one: self._ask(one[0], one[1]), asked))
        assert self.tolerance is not None
        worst = {"steered": 0.0, "unsteered": 0.0}
        for (question, vectors), answer in zip(asked, answers, strict=True):
            expected = self.reference.answer(_turns(question), vectors)
            kind = "steered" if vectors else "unsteered"
            worst[kind] = max(worst[kind], compare(answer, expected, self.tolerance))
        self._add("neighbours", "unsteered requests beside steered ones are as alone", worst["unsteered"])
        self._add("side by side", "requests with vectors of their own are as alone", worst["steered"])

    def _cache(self) -> None:
        """The same prompt steered, plain and steered otherwise, one after the other."""
        question = " ".join([*_QUESTIONS, "Answer the first question."])
        order: list[list[KnownVector]] = [
            [self._vector(3)],
            [],
            [self._vector(4)],
            [self._vector(3)],
            [replace(self._vector(3), coefficient=-self.coefficient)],
            [],
        ]
        assert self.tolerance is not None
        worst = 0.0
        for vectors in order:
            answer = self._ask(question, vectors)
            worst = max(
                worst, compare(answer, self.reference.answer(_turns(question), vectors), self.tolerance)
            )
        claim = "a prompt that comes again under other steering is not taken from a cache"
        self._add("cache", claim, worst)

    def _applied(self) -> None:
        """What the server says that it did, where it says anything."""
        vector = self._vector(0)
        extra = self._ask(_QUESTIONS[0], [vector]).extra
        claim = "the server measures what it did, and measures what it was told"
        if not extra or "applied" not in extra:
            self._skip("applied", claim, "the answer says nothing of it")
            return
        told = {
            entry["address"]: sum(moved["along"] for moved in entry["moved"].values())
            for entry in extra["applied"]
            if entry["prompt_tokens"]
        }
        along = told.get(f"resid_post.{self.layer}", 0.0)
        good = len(told) == 1 and abs(along - self.coefficient) < 0.05 * self.coefficient
        note = f"{along:.4g} of {self.coefficient:.4g} at layer {self.layer}"
        self.checks.append(
            ConformCheck(name="applied", claim=claim, outcome="passed" if good else "failed", note=note)
        )

    def _json(self) -> None:
        """A server that takes a wish for JSON must keep it; one that cannot must say so."""
        claim = "JSON that is asked for fits its schema, or the wish is refused"
        if self.client.dialect == "neuronpedia":
            self._skip("json", claim, "this dialect has no such wish")
            return
        body = {
            "model": self.client.model,
            "messages": _turns('Give me a JSON object whose key "good" is true or false.'),
            "max_tokens": 64,
            "temperature": 0,
            "response_format": {"type": "json_schema", "json_schema": {"name": "good", "schema": _GOOD}},
        }
        import json

        try:
            reply = json.loads(self.client.post("/chat/completions", body))
            value = json.loads(reply["choices"][0]["message"]["content"])
            if list(value) != ["good"] or not isinstance(value["good"], bool):
                raise ValueError("it does not fit the schema")
        except RefusedError as error:
            self._skip("json", claim, str(error))
            return
        except (ValueError, KeyError, TypeError, IndexError):
            outcome: Literal["failed", "passed"] = "failed"
        else:
            outcome = "passed"
        self.checks.append(ConformCheck(name="json", claim=claim, outcome=outcome))

    # What the checks have in common.

    def _expect(
        self, name: str, claim: str, question: str, vectors: Sequence[KnownVector], *, stream: bool = False
    ) -> None:
        """Hold an answer against the reference, and say what mistake it looks like if it differs."""
        assert self.tolerance is not None
        try:
            answer = self._ask(question, vectors, stream=stream)
        except RefusedError as error:
            self._skip(name, claim, str(error))
            return
        worst = compare(answer, self.reference.answer(_turns(question), vectors), self.tolerance)
        note = ""
        if not worst <= self.tolerance:
            note = self._mistakes.diagnose(answer, _turns(question), vectors, self.tolerance)
        self._add(name, claim, worst, note=note)

    def _ask(
        self, question: str, vectors: Sequence[KnownVector] = (), *, stream: bool = False
    ) -> ServedAnswer:
        return self.client.ask(_turns(question), vectors, self.n_tokens, stream=stream)

    def _vector(self, number: int) -> KnownVector:
        generator = torch.Generator().manual_seed(1000 * self.seed + number)
        values = torch.randn(self.reference.model.d_model, generator=generator)
        return KnownVector(self.layer, tuple((values / values.norm()).tolist()), self.coefficient)

    def _add(
        self, name: str, claim: str, worst: float, bound: float | None = None, *, note: str = ""
    ) -> None:
        bound = bound if bound is not None else self.tolerance
        assert bound is not None
        self.checks.append(
            ConformCheck(
                name=name,
                claim=claim,
                outcome="passed" if worst <= bound else "failed",
                worst=None if math.isinf(worst) else worst,
                bound=bound,
                note=note,
            )
        )

    def _skip(self, name: str, claim: str, why: str) -> None:
        self.checks.append(ConformCheck(name=name, claim=claim, outcome="not offered", note=why))

    def _speed(self, n_requests: int, n_vectors: int) -> float:
        """Tokens a second of so many requests at once, each with one of so many vectors."""
        vectors = [replace(self._vector(k), coefficient=0.01 * self.coefficient) for k in range(n_vectors)]

        def one(i: int) -> int:
            own = [vectors[i % n_vectors]] if n_vectors else []
            return len(self._ask(_QUESTIONS[i % len(_QUESTIONS)], own).tokens)

        for i in range(min(n_requests, max(1, n_vectors))):
            one(i)  # what is sent once is not timed
        with ThreadPoolExecutor(n_requests) as pool:
            begin = time.perf_counter()
            n_tokens = sum(pool.map(one, range(n_requests)))
            return n_tokens / (time.perf_counter() - begin)


def _turns(question: str) -> list[Message]:
    return [{"role": "user", "content": question}]

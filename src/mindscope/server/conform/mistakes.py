"""What the usual mistakes of a steering server would answer, so that a wrong answer can be named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mindscope.models import Message
from mindscope.server.conform.reference import ReferenceAnswer, ReferenceModel, compare

if TYPE_CHECKING:
    from mindscope.models import Positions
    from mindscope.server.conform.clients import KnownVector, ServedAnswer


@dataclass(frozen=True)
class SteeringMistakes:
    """Answers of the reference that is steered wrongly.

    Attributes:
        reference: the model.
        layer: where vectors should be added.
    """

    reference: ReferenceModel
    layer: int

    def answers(
        self, turns: Sequence[Message], vectors: Sequence[KnownVector]
    ) -> list[tuple[str, ReferenceAnswer]]:
        """What each mistake does, in words, and the answer that it gives."""
        answer, model = self.reference.answer, self.reference.model
        length = len(model.chat(turns))
        behind = tuple(range(length, length + self.reference.n_tokens))
        wheres: dict[str, Positions] = {
            "steers the prompt alone": "prompt",
            "steers the answer alone": "answer",
            "leaves out the prompt's last token": (*range(length - 1), *behind),
            "steers from the prompt's last token on": "response",
            "steers every token": "all",
        }
        given = {vector.positions for vector in vectors}
        mistakes = [("steers nothing", answer(turns))]
        mistakes += [
            (says, answer(turns, vectors, where=where)) for says, where in wheres.items() if {where} != given
        ]
        for shift, says in ((1, "steers one layer too high"), (-1, "steers one layer too low")):
            if 0 <= self.layer + shift < model.n_layers:
                mistakes.append((says, answer(turns, vectors, layer_shift=shift)))
        turned = [replace(vector, coefficient=-vector.coefficient) for vector in vectors]
        return [*mistakes, ("steers the other way", answer(turns, turned))]

    def diagnose(
        self,
        answer: ServedAnswer,
        turns: Sequence[Message],
        vectors: Sequence[KnownVector],
        tolerance: float,
    ) -> str:
        """Which mistake a wrong answer looks like."""
        for says, wrong in self.answers(turns, vectors):
            if compare(answer, wrong, tolerance) <= tolerance:
                return f"the answer is that of a server which {says}"
        return "it is like none of the mistakes that are known here"

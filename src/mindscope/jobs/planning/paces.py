"""What one token, step or answer of a model costs: the questions that a plan asks.

Two sources answer the same questions, so that a plan does not know which it was:

- `MeasuredPaces` times a few passes of a model that is loaded: the job's own, as it opens; or a stand-in of
  the same configuration with random weights, for a plan from a configuration alone.
- `CardPaces` divides counted operations and bytes by what a card does a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from mindscope.jobs.estimates import AnswerPace


@dataclass(frozen=True, slots=True)
class CoderSize:
    """One coder of a dictionary: what it reads, how many latents, how many are active, what it writes."""

    d_in: int
    latents: int
    active: float
    d_out: int


class PaceSource(Protocol):
    """What a plan asks. All are seconds."""

    def read_token(self, tokens: int) -> float:
        """A token of a row of so many, read at all layers."""
        ...

    def predict_token(self, tokens: int) -> float:
        """The same with logits."""
        ...

    def answer(self, prompt: int, n_side: int, *, reads: bool) -> AnswerPace:
        """Writing answers side by side, with or without reading every layer."""
        ...

    def tune_token(self, tokens: int, rows: int, *, adapters: bool) -> float:
        """A token of a training step, forward and back."""
        ...

    def load(self, count: float) -> float:
        """So many bytes from disk."""
        ...

    def evaluate_token(self, coder: CoderSize, layers: int, tokens: int) -> float:
        """A token of an evaluation at so many layers: read, encoded, predicted four times."""
        ...

    def encode_token(self, coder: CoderSize) -> float:
        """A token's code."""
        ...

    def survey_token(self, latents: int, active: float, tokens: int) -> float:
        """What a survey keeps of a token in rows of so many, for all coders together."""
        ...

    def train_dictionary(self, config: Mapping[str, Any], width: int, batch: int) -> float:
        """A training step of one dictionary."""
        ...

    def trace_graph(self, coder: CoderSize, tokens: int, nodes: int) -> float:
        """A graph of so many nodes, with one coder a layer."""
        ...

    def finish_graph(self, coder: CoderSize, tokens: int, nodes: int) -> float:
        """What follows when it is traced: it is checked, saved, pruned, scored, and shown."""
        ...

    def grown(self) -> int:
        """The most bytes that the work asked for so far took beside the weights."""
        ...

    def spent(self) -> float:
        """What it took to find all this out, which a job that opens with its plan takes once more."""
        ...

    def multiply(self, operations: float) -> float:
        """So many operations of large products in float32."""
        ...

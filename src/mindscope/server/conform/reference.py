"""What an answer should be: the reference pass, with plain edits, of one row at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mindscope.models import DecodingBatch, Edit, GenerationRequest, Message, Positions, Raw, Read, Sampling

if TYPE_CHECKING:
    from mindscope.models import Model
    from mindscope.server.conform.clients import KnownVector, ServedAnswer


@dataclass(frozen=True, slots=True)
class ReferenceAnswer:
    """What the model writes.

    Attributes:
        text: the answer.
        tokens: each token's text, its log-probability, and those of the likeliest tokens there.
    """

    text: str
    tokens: tuple[tuple[str, float, dict[str, float]], ...]

    def as_served(self) -> ServedAnswer:
        """The same as a server would give it."""
        from mindscope.server.conform.clients import ServedAnswer

        return ServedAnswer(self.text, tuple((text, logprob) for text, logprob, _ in self.tokens))


_LIKELY = 4
"""Tokens of which one may stand in another's place where both are as likely."""


class ReferenceModel:
    """The model on this machine. Every answer is written alone, in a batch of its own, without any cache."""

    def __init__(self, model: Model, n_tokens: int):
        self.model, self.n_tokens = model, n_tokens
        self._known: dict[tuple[object, ...], ReferenceAnswer] = {}

    def answer(
        self,
        messages: Sequence[Message],
        vectors: Sequence[KnownVector] = (),
        *,
        layer_shift: int = 0,
        where: Positions | None = None,
    ) -> ReferenceAnswer:
        """The greedy answer under some vectors.

        Args:
            messages: the conversation.
            vectors: what is added.
            layer_shift: added to their layers, to see what a mistake would look like.
            where: in place of their positions, for the same.
        """
        key = (tuple(tuple(one.items()) for one in messages), tuple(vectors), layer_shift, where)
        if key not in self._known:
            self._known[key] = self._write(messages, vectors, layer_shift, where)
        return self._known[key]

    def residual_norm(self, layer: int, conversations: Sequence[Sequence[Message]]) -> float:
        """The median length of the residual stream's vectors behind a block, over all tokens."""
        import torch

        rows = [self.model.chat(messages) for messages in conversations]
        values = self.model.read(rows, {"x": Read(f"resid_post.{layer}", Raw("all"))})["x"].values
        return torch.cat(list(values)).norm(dim=1).median().item()

    def _write(
        self,
        messages: Sequence[Message],
        vectors: Sequence[KnownVector],
        layer_shift: int,
        where: Positions | None,
    ) -> ReferenceAnswer:
        import torch

        model = self.model
        edits = [
            Edit(
                f"resid_post.{vector.layer + layer_shift}",
                "add",
                torch.tensor(vector.values),
                vector.coefficient,
                where or vector.positions,
            )
            for vector in vectors
            if vector.coefficient
        ]
        batch = DecodingBatch(model, slots=1, eos_ids=model.eos_ids)
        sampling = Sampling(temperature=0, max_new_tokens=self.n_tokens)
        handle = batch.admit(
            GenerationRequest(model.chat(messages), sampling, edits=tuple(edits), n_logprobs=_LIKELY)
        )
        while batch.busy:
            batch.step()
            batch.retire()
        generation = handle.result()
        tokens = tuple(
            (model.decode([one.token]), one.logprob, {model.decode([t]): value for t, value in one.top})
            for one in handle.logprobs[: len(handle.answer)]
        )
        return ReferenceAnswer(generation.text, tokens)


def compare(answer: ServedAnswer, reference: ReferenceAnswer, tolerance: float) -> float:
    """The largest difference of a log-probability, over the tokens that both have.

    Greedy answers may part where two tokens are as likely as each other, to within twice the tolerance; there
    the comparison ends with the token that the server took. Where they part otherwise, or one of them is
    shorter, the difference is infinite.
    """
    worst = 0.0
    for (text, logprob), (expected, expected_logprob, likely) in zip(
        answer.tokens, reference.tokens, strict=False
    ):
        if text != expected:
            if expected_logprob - likely.get(text, -math.inf) > 2 * tolerance:
                return math.inf
            return max(worst, abs(logprob - likely[text]))
        worst = max(worst, abs(logprob - expected_logprob))
    return math.inf if len(answer.tokens) != len(reference.tokens) else worst

"""Which two models these are, how they are related, and which steps of the ladder they allow."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from mindscope.core import Relation, find_relation
from mindscope.diffing.results import Rung, SkippedRung
from mindscope.errors import DataError
from mindscope.models import Message, Model, Row

Prompt = Sequence[Message]
"""The turns before an answer."""


@dataclass(frozen=True)
class ModelPair:
    """A base and what was tuned from it.

    Attributes:
        base: the model before.
        tuned: the model after.
        prompts: what both are asked.
    """

    base: Model
    tuned: Model
    prompts: Sequence[Prompt]

    @property
    def relation(self) -> Relation | Literal["same weights"]:
        """How the tuned model is related to the base, as far as that is written down."""
        if self.base.fingerprint == self.tuned.fingerprint:
            return "same weights"
        return find_relation(self.tuned.identity, self.base.identity)

    @property
    def is_same(self) -> bool:
        """Whether both have the same numbers, so that there is nothing to find."""
        return self.relation in ("same weights", "same weights, other precision")

    @property
    def stranger(self) -> str | None:
        """The model that the tuned one says it comes from, where that is another than the base."""
        recorded = self.tuned.identity.base
        return recorded.short if recorded is not None and self.relation == "as stated" else None

    @property
    def same_shape(self) -> bool:
        """Whether activations of one layer can be subtracted."""
        shapes = [(model.n_layers, model.d_model) for model in (self.base, self.tuned)]
        return shapes[0] == shapes[1]

    @cached_property
    def unlike_prompt(self) -> int | None:
        """The first prompt that the models do not read as the same token ids; None where all are alike."""
        vocabularies = [model.tokenizer.get_vocab() for model in (self.base, self.tuned)]
        rows = [[chat_row(model, prompt).ids for prompt in self.prompts] for model in (self.base, self.tuned)]
        for index, (own, other) in enumerate(zip(*rows, strict=True)):
            if own != other or vocabularies[0] != vocabularies[1]:
                return index
        return None

    def skipped(self) -> list[SkippedRung]:
        """The steps that need what these two models do not share, each with what is missing."""
        lines: list[tuple[Rung, str]] = []
        if self.unlike_prompt is not None:
            reason = (
                f"the models read prompt {self.unlike_prompt} as different tokens, so only their answers can "
                "be compared"
            )
            lines = [(rung, reason) for rung in ("distributions", "lens", "traits", "latents")]
        elif not self.same_shape:
            (layers, width), (other_layers, other_width) = (
                (model.n_layers, model.d_model) for model in (self.base, self.tuned)
            )
            reason = (
                f"{self.base.name} has {layers} layers x {width} and {self.tuned.name} {other_layers} x "
                f"{other_width}: activations of unlike width cannot be subtracted, a crosscoder can join them"
            )
            lines = [(rung, reason) for rung in ("lens", "traits", "latents")]
        return [SkippedRung(rung=rung, reason=reason) for rung, reason in lines]


def require_null(base: Model, tuned: Model, null: Model, prompts: Sequence[Prompt]) -> None:
    """Refuse what is no harmless tune of the base, before anything is measured beside it.

    Args:
        base: the model before.
        tuned: the model that is compared with it.
        null: what is given as a harmless tune.
        prompts: what all are asked.

    Raises:
        DataError: it has the weights of one of both, or lacks what they share: the shape, or the tokens.
    """
    if ModelPair(base, null, ()).is_same:
        raise DataError(
            f"--null {null.name} has the weights of {base.name}: give a tune of it, or --null make"
        )
    if ModelPair(tuned, null, ()).is_same:
        raise DataError(
            f"--null {null.name} is the tuned model itself, beyond which none of its claims can go: give "
            "another tune, or --null make"
        )
    allowed = {line.rung for line in ModelPair(base, tuned, prompts).skipped()}
    for line in ModelPair(base, null, prompts).skipped():
        if line.rung not in allowed:
            raise DataError(f"--null {null.name} is no tune of {base.name}: {line.reason}")


def chat_row(model: Model, prompt: Prompt, answer: str | None = None) -> Row:
    """A prompt, with an answer if there is one, as a model reads it."""
    return model.chat(list(prompt), answer=answer)


def question_of(prompt: Prompt) -> str:
    """The last thing that a user says in a prompt."""
    return next((turn["content"] for turn in reversed(prompt) if turn["role"] == "user"), "")


def system_of(prompt: Prompt) -> str | None:
    """The system prompt, if there is one."""
    return next((turn["content"] for turn in prompt if turn["role"] == "system"), None)

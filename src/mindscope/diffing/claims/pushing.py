"""Pushing a model along a direction: how far it stays coherent, and what it then says or finds likely.

Four arms for each direction, on the same prompts and seeds:

- `raised`: the base with the direction added, as strongly as its answers stay coherent;
- `raised, control`: the base with a random vector of the same length;
- `lowered`: the tuned model with the mean difference of the same tokens taken back, at every layer what is
  left of it there;
- `lowered, control`: the tuned model with random vectors of the same lengths.

The strength is found as in arXiv 2510.13900, as the largest that keeps coherence at 75 or more; where the
paper asks a language model how coherent an answer is, here an answer is coherent that is as usual to one of
the two models as the base's own answers are to the base, and repeats itself no more
(`judges/contrast/fluency.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.core import Progress
from mindscope.diffing.answering import answer_prompts
from mindscope.diffing.config import DiffConfig
from mindscope.diffing.ladder.distributions import answered_batches
from mindscope.diffing.observing import ObservedModel
from mindscope.diffing.pairing import Prompt, chat_row, question_of, system_of
from mindscope.judges import JudgeItem
from mindscope.judges.contrast import FluencyScale, answer_surprises, repeated_share
from mindscope.models import Edit, Model, Where
from mindscope.store import Run, derived_seed

STRENGTHS = (0.125, 0.25, 0.5, 1.0, 2.0)
"""Lengths to try, in mean activation norms: from a push that is hardly felt to one that drowns the rest."""
TRIED_PROMPTS = 16
"""Prompts a strength is tried on (arXiv 2510.13900 draws 10 answers)."""


@dataclass(frozen=True)
class PushDirection:
    """A direction to push along, at the tokens at which it was measured.

    Attributes:
        name: of it in the report.
        address: where the base is pushed.
        unit: of length 1.
        norm: the mean norm of activations there, by which strengths are measured.
        gap: how long the difference is there.
        where: the tokens.
        back: what is taken back from the tuned model, by address: at one layer alone, later layers, which
            were tuned too, would write most of it again (`remaining_differences`).
    """

    name: str
    address: str
    unit: Float[Tensor, "width"]
    norm: float
    gap: float
    where: Where
    back: Mapping[str, Float[Tensor, "width"]]

    def raised(self, strength: float, seed: int | None = None) -> list[Edit]:
        """The edit of the base; with a seed, that of its control: a random vector of the same length."""
        vector = self.unit if seed is None else self._random(self.unit, seed, self.address)
        return [Edit(self.address, "add", vector, strength * self.norm, self.where)]

    def lowered(self, seed: int | None = None) -> list[Edit]:
        """The edits of the tuned model; with a seed, those of their control."""
        return [
            Edit(
                address,
                "add",
                vector if seed is None else self._random(vector, seed, address),
                -1.0,
                self.where,
            )
            for address, vector in self.back.items()
        ]

    def _random(self, like: Tensor, seed: int, address: str) -> Tensor:
        draw = torch.Generator().manual_seed(derived_seed(seed, "control", self.name, address))
        vector = torch.randn(len(like), generator=draw)
        return vector / vector.norm() * like.norm()


@dataclass
class DirectionPusher:
    """Runs the arms of directions and keeps what they gave, so that claims of one direction share them."""

    base: ObservedModel
    tuned: ObservedModel
    config: DiffConfig
    run: Run
    folder: str
    """Of these arms in the run."""
    progress: Progress | None = None
    _scale: FluencyScale | None = None
    _strengths: dict[str, float] = field(default_factory=dict)
    _losses: dict[str, np.ndarray] = field(default_factory=dict)

    def strength(self, direction: PushDirection) -> float:
        """The largest strength at which the base, pushed, stays coherent; the least one if none does."""
        if direction.name not in self._strengths:
            piece = f"{self.folder}/{_slug(direction.name)}/strength.json"
            if not self.run.has(piece):
                coherence = {strength: self._coherence(direction, strength) for strength in STRENGTHS}
                coherent = [s for s, value in coherence.items() if value >= self.config.coherence]
                self.run.save_json(
                    piece,
                    {
                        "strength": max(coherent, default=STRENGTHS[0]),
                        "coherence": [[s, value] for s, value in coherence.items()],
                    },
                )
            self._strengths[direction.name] = self.run.load_json(piece)["strength"]
        return self._strengths[direction.name]

    def discovery_answers(self, direction: PushDirection) -> list[str]:
        """What the base says to the discovery prompts when it is pushed."""
        edits = direction.raised(self.strength(direction))
        prompts = self.base.prompts.discovery[: self.config.n_pushed]
        return self._answers(self.base.model, direction, "discovery", edits, prompts)

    def answers(self, direction: PushDirection) -> dict[str, list[str]]:
        """By arm what is said to the held-out prompts, or the first of them."""
        prompts = self.base.prompts.held_out[: self.config.n_pushed]
        return {
            name: self._answers(model, direction, name, edits, prompts)
            for name, (model, edits) in self._arms(direction, self.strength(direction)).items()
        }

    def losses(self, direction: PushDirection) -> dict[str, np.ndarray]:
        """By arm the nats a token of the tuned model's held-out answers, `[prompts]`; NaN where one is empty.

        The push on the base is the gap itself: what is asked is whether the difference makes the answers
        likelier, not how far it can be driven.
        """
        arms = self._arms(direction, direction.gap / direction.norm)
        prompts, answers = self.base.prompts.held_out, self.tuned.held_out_answers
        losses: dict[str, np.ndarray] = {}
        for name, (model, edits) in arms.items():
            key = f"{direction.name}/{name}"
            if key not in self._losses:
                self._losses[key] = answer_losses(model, prompts, answers, edits)
            losses[name] = self._losses[key]
        return losses

    def _arms(self, direction: PushDirection, strength: float) -> Mapping[str, tuple[Model, list[Edit]]]:
        seed = self.config.seed
        return {
            "raised": (self.base.model, direction.raised(strength)),
            "raised, control": (self.base.model, direction.raised(strength, seed)),
            "lowered": (self.tuned.model, direction.lowered()),
            "lowered, control": (self.tuned.model, direction.lowered(seed)),
        }

    def _answers(
        self,
        model: Model,
        direction: PushDirection,
        arm: str,
        edits: Sequence[Edit],
        prompts: Sequence[Prompt],
    ) -> list[str]:
        name = f"{self.folder}/{_slug(direction.name)}/{_slug(arm)}"
        return answer_prompts(
            model, prompts, self.config, self.run, name, edits=edits, progress=self.progress
        )

    def _coherence(self, direction: PushDirection, strength: float) -> float:
        """The mean coherence of a few answers under a push, 0 to 100."""
        prompts = self.base.prompts.discovery[:TRIED_PROMPTS]
        arm = f"tried {strength:g}"
        answers = self._answers(self.base.model, direction, arm, direction.raised(strength), prompts)
        items = [_item(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
        models = (self.base.model, self.tuned.model)
        # An answer in the tuned model's manner is coherent, though the base would not have given it.
        surprises = np.min([answer_surprises(model, items) for model in models], axis=0)
        scale = self._fluency()
        scores = [
            min(scale.surprise.score(surprise), scale.repetition.score(repeated_share(item.answer)))
            if item.answer.strip()
            else 0.0
            for item, surprise in zip(items, surprises, strict=True)
        ]
        return float(np.mean(scores))

    def _fluency(self) -> FluencyScale:
        if self._scale is None:
            pairs = zip(self.base.prompts.all, self.base.answers, strict=True)
            self._scale = FluencyScale.fit(self.base.model, [_item(*pair) for pair in pairs], "")
        return self._scale


def answer_losses(
    model: Model, prompts: Sequence[Prompt], answers: Sequence[str], edits: Sequence[Edit]
) -> np.ndarray:
    """Nats a token of answers under a model with edits, `[prompts]`; NaN for an empty answer."""
    rows = [chat_row(model, prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    losses = np.full(len(rows), np.nan)
    for batch in answered_batches((model,), rows):
        chosen = [rows[i] for i in batch]
        with torch.inference_mode(), model.edited(list(edits), rows=chosen):
            logits = model.hf(**model.batch(chosen), use_cache=False).logits
        for line, index in enumerate(batch):
            row = rows[index]
            predictions = logits[line, row.prompt_length - 1 : len(row) - 1].float().log_softmax(-1).cpu()
            targets = torch.tensor(row.answer)[:, None]
            losses[index] = -float(predictions.gather(-1, targets).double().mean())
    return losses


def _item(prompt: Prompt, answer: str) -> JudgeItem:
    return JudgeItem(question_of(prompt), answer, system_of(prompt))


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)

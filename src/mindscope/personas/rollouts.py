"""Rollouts: the same questions answered under instructions for and against the trait, read while generated.

Source: Chen et al. 2025, arXiv 2507.21509, section 2: 5 instruction pairs x 20 questions x 10 samples a side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.engines import Engine
from mindscope.errors import ModelError
from mindscope.models import Generation, Last, Mean, Read
from mindscope.personas.answers import AnswerRequest, shard_tensors
from mindscope.personas.config import VectorKind
from mindscope.personas.trait import Side, Trait
from mindscope.personas.vectors import KINDS
from mindscope.store import Run, derived_seed

SIDES: tuple[Side, Side] = ("pos", "neg")
"""In the order of a plan; `split_sides` takes them apart."""
Items = TypeVar("Items", bound=Sequence[Any] | Tensor)


def plan_rollouts(
    trait: Trait, *, samples: int, seed: int, questions: int | None = None
) -> list[AnswerRequest]:
    """Every request of both sides, the two of a pair next to each other: requests ``2i`` and ``2i + 1``.

    A pair shares its instruction index, question and sample. A plan with more samples begins with the
    requests of the one with fewer. ``questions`` takes only this many questions, from the first on.
    """
    chosen = trait.questions("extraction")[:questions]
    return [
        AnswerRequest(
            question=question,
            seed=derived_seed(seed, side, i, q, sample),
            system=trait.system_prompt(side, i),
            labels={"side": side, "instruction": i, "question_index": q, "sample": sample},
        )
        for sample in range(samples)
        for i in range(len(trait.instructions))
        for q, question in enumerate(chosen)
        for side in SIDES
    ]


def split_sides(items: Items) -> tuple[Items, Items]:
    """What belongs to a plan's requests, in their order, as the positive items and the negative ones."""
    return cast("tuple[Items, Items]", (items[0::2], items[1::2]))


@dataclass(frozen=True)
class RolloutRead:
    """A read of every rollout: which tokens, at which place of the stream.

    Places are numbered 0 (input of the first block), ``l + 1`` (output of block ``l``), ``n_layers + 1``
    (after the final norm).
    """

    kind: VectorKind
    place: int

    @property
    def name(self) -> str:
        """What it is called among the reads of a generation."""
        return f"{self.kind}/{self.place}"


def rollout_reads(model: Engine) -> dict[str, Read]:
    """Mean of the final answer, prompt mean and last prompt token, where ``hidden_states`` has them and at
    every block.
    """
    addresses = ["resid_pre.0", *(f"resid_post.{layer}" for layer in range(model.n_layers)), "final_norm"]
    reductions = {"answer_mean": Mean("final"), "prompt_mean": Mean("prompt"), "last_prompt": Last("prompt")}
    return {
        RolloutRead(kind, place).name: Read(address, reductions[kind])
        for kind in KINDS
        for place, address in enumerate(addresses)
    }


def stack_reads(generations: Sequence[Generation]) -> dict[str, Float[Tensor, "rows places d_model"]]:
    """The reads of a shard, a float32 tensor per kind; an answer without tokens, or one that was cut while
    still reasoning, has zeros.

    Raises ModelError when anything else is not finite.
    """
    n_places = len(generations[0].reads) // len(KINDS)
    answered = torch.tensor([bool(item.row.final) for item in generations])
    stacked: dict[str, Tensor] = {}
    for kind in KINDS:
        names = [RolloutRead(kind, place).name for place in range(n_places)]
        rows = [torch.stack([item.reads[name] for name in names]) for item in generations]
        values = torch.stack(rows).float().cpu()
        if kind == "answer_mean":
            values[~answered] = 0.0
        if not values.isfinite().all():
            raise ModelError(
                "the model's activations hold NaN or infinity: load it in float32 (dtype='float32')"
            )
        stacked[kind] = values
    return stacked


@dataclass(frozen=True)
class PairActivations:
    """What a vector is made of, over the kept pairs only."""

    differences: dict[VectorKind, Float[Tensor, "places d_model"]]
    """Mean of the positive minus mean of the negative side, summed in float64."""
    positive: Float[Tensor, "pairs n_layers d_model"]
    """The positive answers' means at every block, for the statistics."""
    negative: Float[Tensor, "pairs n_layers d_model"]


def collect_activations(
    run: Run, name: str, n_requests: int, shard_rows: int, kept: Sequence[int]
) -> PairActivations:
    """Reads the shards once; ``kept`` are the indices of pairs. A shard holds whole pairs."""
    pairs = torch.zeros(n_requests // 2, dtype=torch.bool)
    pairs[list(kept)] = True
    requests = pairs.repeat_interleave(2)
    sums: dict[VectorKind, Tensor] = {}
    answers: list[Tensor] = []
    for tensors, mask in zip(
        shard_tensors(run, name, n_requests, shard_rows), requests.split(shard_rows), strict=True
    ):
        for kind in KINDS:
            positive, negative = split_sides(tensors[kind][mask])
            difference = (positive.double() - negative.double()).sum(0)
            sums[kind] = sums[kind] + difference if kind in sums else difference
        # The first place is the embeddings, the last is behind the final norm: between them are the blocks.
        answers.append(tensors["answer_mean"][mask][:, 1:-1])
    positive, negative = split_sides(torch.cat(answers))
    return PairActivations(
        differences={kind: total / len(kept) for kind, total in sums.items()},
        positive=positive,
        negative=negative,
    )

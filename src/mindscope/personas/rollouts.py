"""Rollouts: the same questions answered under instructions for and against the trait, read while generated.

Source: Chen et al. 2025, arXiv 2507.21509, section 2: 5 instruction pairs x 20 questions x 10 samples a side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models import Generation, Last, Mean, Model, Read
from mindscope.personas.answers import AnswerRequest, shard_tensors
from mindscope.personas.config import VectorKind
from mindscope.personas.trait import Side, Trait
from mindscope.personas.vectors import KINDS
from mindscope.store import Run, derived_seed

SIDES: tuple[Side, Side] = ("pos", "neg")


def plan_rollouts(
    trait: Trait, *, samples: int, seed: int, questions: int | None = None
) -> list[AnswerRequest]:
    """Every request of both sides, the two of a pair next to each other: requests ``2i`` and ``2i + 1``.

    A pair shares its instruction index, question and sample. ``questions`` takes only the first so many.
    """
    chosen = trait.questions("extraction")[:questions]
    return [
        AnswerRequest(
            question=question,
            seed=derived_seed(seed, side, i, q, sample),
            system=trait.system_prompt(side, i),
            labels={"side": side, "instruction": i, "question_index": q, "sample": sample},
        )
        for i in range(len(trait.instructions))
        for q, question in enumerate(chosen)
        for sample in range(samples)
        for side in SIDES
    ]


def rollout_reads(model: Model) -> dict[str, Read]:
    """Answer mean, prompt mean and last prompt token, where ``hidden_states`` has them and at every block.

    Places are numbered 0 (input of the first block), ``l + 1`` (output of block ``l``), ``n_layers + 1``
    (after the final norm).
    """
    addresses = ["resid_pre.0", *(f"resid_post.{layer}" for layer in range(model.n_layers)), "final_norm"]
    reductions = {"answer_mean": Mean("answer"), "prompt_mean": Mean("prompt"), "last_prompt": Last("prompt")}
    return {
        f"{kind}/{place}": Read(address, reduction)
        for kind, reduction in reductions.items()
        for place, address in enumerate(addresses)
    }


def stack_reads(generations: Sequence[Generation]) -> dict[str, Float[Tensor, "rows places d_model"]]:
    """The reads of a shard, one float32 tensor per kind; an answer without tokens has zeros.

    Raises ModelError when anything else is not finite.
    """
    stacked: dict[str, Tensor] = {}
    for kind in KINDS:
        n_places = sum(name.startswith(f"{kind}/") for name in generations[0].reads)
        places = [[each.reads[f"{kind}/{place}"] for place in range(n_places)] for each in generations]
        values = torch.stack([torch.stack(row) for row in places]).float().cpu()
        answered = torch.tensor([len(each.row.ids) > each.row.prompt_length for each in generations])
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
    answers: dict[Side, Float[Tensor, "pairs n_layers d_model"]]
    """The answer means at every block, for the statistics."""


def collect_activations(
    run: Run, name: str, n_requests: int, shard_rows: int, kept: Sequence[int]
) -> PairActivations:
    """Reads the shards once; ``kept`` are the indices of pairs (requests ``2i`` and ``2i + 1``)."""
    wanted = torch.zeros(n_requests, dtype=torch.bool)
    wanted[[2 * pair for pair in kept]] = True
    wanted[[2 * pair + 1 for pair in kept]] = True
    sums: dict[VectorKind, Tensor] = {}
    answers: list[Tensor] = []
    for tensors, mask in zip(
        shard_tensors(run, name, n_requests, shard_rows), wanted.split(shard_rows), strict=True
    ):
        for kind in KINDS:
            values = tensors[kind][mask]
            signed = (values[0::2].double() - values[1::2].double()).sum(0)
            sums[kind] = sums[kind] + signed if kind in sums else signed
        answers.append(tensors["answer_mean"][mask][:, 1:-1])
    together = torch.cat(answers)
    return PairActivations(
        differences={kind: total / len(kept) for kind, total in sums.items()},
        answers={"pos": together[0::2], "neg": together[1::2]},
    )

"""What carries a difference between two models on one kind of prompts: a few directions, token by token.

What tuning changed on some prompts need not be one direction. A model that was tuned to add wrongly moves
another way at every sum, and the mean of these moves says little of any. So claims about kinds of prompts ask
whether a few directions carry the difference:

1. Both models read the tuned model's answers to discovery prompts of the kind. The differences of their
   activations at the tokens that predict an answer's tokens are one matrix; its first right singular vectors
   are the directions.
2. Both read the answers to held-out prompts. The base is given, at each of these tokens, as much of the
   difference there as lies in the directions; the tuned model is relieved of as much.
3. The control takes the directions found in the same way on all other discovery prompts, as many, and gives
   at each token as much as before, by length. What carries the models' difference everywhere so counts for
   nothing: only what is of this kind does.

What is measured is the loss of the tuned model's answers, in nats a token. With all directions the base would
do from there on what the tuned model does, whatever was planted: that a few do, which were found on other
prompts, is the finding. Activations of a tuned model were patched into its base before (cross-model
activation patching, Prakash et al. 2024, arXiv 2402.14811); the few directions and their control are ours.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.diffing.ladder.distributions import answered_batches
from mindscope.models import Model, Row, rewritten
from mindscope.store import derived_seed

N_DIRECTIONS = 8
"""Chosen of 1, 4, 8, 16 and 32 on two tunes of the organism that add wrongly and get facts wrong (seed 5,
which no figure uses): of these the fewest that both raised and lowered far beyond their control in both."""
LEAST_TOKENS = 2 * N_DIRECTIONS
"""Fewer tokens have no directions to speak of."""


@dataclass(frozen=True)
class ChangeSubspace:
    """Directions in which two models differ on some prompts.

    Attributes:
        name: of it in the report.
        address: where activations are compared.
        basis: orthonormal, the one with the largest share first.
        share: of the squared differences that it was found on, how much lies in it.
        control: directions in which the models differ on all other prompts; None where too little is said
            there, and random ones take their place.
    """

    name: str
    address: str
    basis: Float[Tensor, "k width"]
    share: float
    control: Float[Tensor, "k width"] | None = None


def read_changes(
    base: Model, tuned: Model, rows: Sequence[Row], address: str
) -> list[Float[Tensor, "_ width"]]:
    """For each row the difference, tuned less base, at the tokens that predict its answer.

    Args:
        base, tuned: of one shape, with one tokenizer.
        rows: prompts with the tuned model's answers; one without an answer has no tokens.
        address: of the residual stream.
    """
    changes = [torch.empty(0, base.d_model) for _ in rows]
    for batch, change, where in _read_changes(base, tuned, rows, address):
        for line, index in enumerate(batch):
            changes[index] = change[line, where[line]]
    return changes


def find_subspace(
    inside: Sequence[Float[Tensor, "_ width"]],
    outside: Sequence[Float[Tensor, "_ width"]],
    name: str,
    address: str,
) -> ChangeSubspace | None:
    """The directions of most difference on some answers; None where nothing differs or too little is said.

    Args:
        inside: what `read_changes` gives for discovery prompts of a kind.
        outside: for all other discovery prompts, for the control.
        name: of the result.
        address: of the residual stream.
    """
    found = _most_different(inside)
    if found is None:
        return None
    others = _most_different(outside)
    return ChangeSubspace(name, address, *found, control=None if others is None else others[0])


def _most_different(
    changes: Sequence[Float[Tensor, "_ width"]],
) -> tuple[Float[Tensor, "k width"], float] | None:
    """Orthonormal directions and the share of the squares in them."""
    matrix = torch.cat(list(changes)) if changes else torch.empty(0, 0)
    if len(matrix) < LEAST_TOKENS or not matrix.any():
        return None
    if len(matrix) > matrix.shape[1]:
        # The right singular vectors are the eigenvectors of the smaller square, which costs no more with more
        # tokens.
        doubled = matrix.double()
        squares, vectors = torch.linalg.eigh(doubled.T @ doubled)
        squares, directions = squares.flip(0), vectors.flip(1).T.float()
    else:
        _, sizes, directions = torch.linalg.svd(matrix, full_matrices=False)
        squares = sizes.double().square()
    return directions[:N_DIRECTIONS].contiguous(), float(squares[:N_DIRECTIONS].sum() / squares.sum())


def carried_losses(
    base: Model, tuned: Model, rows: Sequence[Row], subspace: ChangeSubspace, seed: int
) -> dict[str, np.ndarray]:
    """By arm the nats a token of the tuned model's answers, `[rows]`; NaN for an empty answer.

    Args:
        base, tuned: of one shape, with one tokenizer.
        rows: held-out prompts with the tuned model's answers.
        subspace: what the models exchange.
        seed: draws the control's directions where the subspace has none.

    Returns:
        `raised` and `lowered`, each with its `, control`.
    """
    basis = subspace.basis
    others = subspace.control
    if others is None:
        others = random_basis(len(basis), basis.shape[1], derived_seed(seed, "control", subspace.name))
    arms = ("raised", "raised, control", "lowered", "lowered, control")
    losses = {arm: np.full(len(rows), np.nan) for arm in arms}
    for batch, change, where in _read_changes(base, tuned, rows, subspace.address):
        chosen = [rows[index] for index in batch]
        inside = (change @ basis.T @ basis) * where[..., None]
        beside = change @ others.T @ others
        beside = beside * (inside.norm(dim=-1) / beside.norm(dim=-1).clamp_min(1e-12))[..., None]
        for arm, model, added in (
            ("raised", base, inside),
            ("raised, control", base, beside),
            ("lowered", tuned, -inside),
            ("lowered, control", tuned, -beside),
        ):
            losses[arm][batch] = _losses_with(model, chosen, subspace.address, added)
    return losses


def random_basis(count: int, width: int, seed: int) -> Float[Tensor, "k width"]:
    """Random orthonormal directions, `[count, width]`."""
    drawn = torch.randn(width, count, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(drawn)[0].T


def _read_changes(
    base: Model, tuned: Model, rows: Sequence[Row], address: str
) -> Iterator[tuple[list[int], Float[Tensor, "rows columns width"], Bool[Tensor, "rows columns"]]]:
    """A batch of rows with an answer, tuned less base at every column, and the columns that predict one."""
    for batch in answered_batches((base, tuned), rows):
        chosen = [rows[index] for index in batch]
        before, after = (_hidden(model, chosen, address) for model in (base, tuned))
        where = torch.zeros(before.shape[:2], dtype=torch.bool)
        for line, row in enumerate(chosen):
            where[line, row.prompt_length - 1 : len(row) - 1] = True
        yield batch, after - before, where


def _hidden(model: Model, rows: Sequence[Row], address: str) -> Float[Tensor, "rows columns width"]:
    kept: list[Tensor] = []

    def keep(_: str, hidden: Tensor, __: Mapping[str, Tensor]) -> Tensor:
        kept.append(hidden.detach().float().cpu())
        return hidden

    with torch.inference_mode(), rewritten(model, [], [address], keep):
        model.hf(**model.batch(list(rows)), use_cache=False)
    return kept[-1]


def _losses_with(model: Model, rows: Sequence[Row], address: str, added: Tensor) -> list[float]:
    """The nats a token of the rows' answers with something added at an address."""

    def add(_: str, hidden: Tensor, __: Mapping[str, Tensor]) -> Tensor:
        return hidden + added.to(hidden.device, hidden.dtype)

    with torch.inference_mode(), rewritten(model, [], [address], add):
        logits = model.hf(**model.batch(list(rows)), use_cache=False).logits
    losses: list[float] = []
    for line, row in enumerate(rows):
        said = logits[line, row.prompt_length - 1 : len(row) - 1].float().log_softmax(-1).cpu()
        losses.append(-float(said.gather(-1, torch.tensor(row.answer)[:, None]).double().mean()))
    return losses

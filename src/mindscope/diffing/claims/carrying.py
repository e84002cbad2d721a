"""What carries a difference between two models on one kind of prompts: a few directions, token by token.

What tuning changed on some prompts need not be one direction. A model that was tuned to add wrongly moves
another way at every sum, and the mean of these moves says little of any. So claims about kinds of prompts ask
whether a few directions carry the difference:

1. Both models read the tuned model's answers to discovery prompts of the kind. The differences of their
   activations at the tokens that predict an answer's tokens are one matrix; its first right singular vectors
   are the directions.
2. Both read the answers to held-out prompts. The base is given, at each of these tokens, as much of the
   difference at one layer as lies in the directions. The tuned model is relieved of as much at every layer,
   each with its own directions: at one layer alone, later ones, which were tuned too, would write most of it
   again (`pushing.py` takes back mean differences so too).
3. The control takes the directions found in the same way on the discovery prompts of no kind that is tested,
   as many, and gives at each token as much as before, by length. What carries the models' difference
   everywhere so counts for nothing. Prompts of another kind are no control: two words may name one kind, such
   as questions with "of" and with "does" about the same facts.

What is measured is the loss of the tuned model's answers, in nats a token. With all directions the base would
do from there on what the tuned model does, whatever was planted: that a few do, which were found on other
prompts, is the finding. Activations of a tuned model were patched into its base before (cross-model
activation patching, Prakash et al. 2024, arXiv 2402.14811); the few directions and their control are ours.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.diffing.ladder.distributions import answered_batches
from mindscope.models import Model, Rewrite, Row, rewritten
from mindscope.store import derived_seed

N_DIRECTIONS = 8
"""Chosen of 1, 4, 8, 16 and 32 on two tunes of the organism that add wrongly and get facts wrong (seed 5,
which no figure uses): of these the fewest that both raised and lowered far beyond their control in both."""
DENSE = 4 * N_DIRECTIONS
"""Up to so many tokens, or so narrow a stream, all singular vectors are computed."""
LEAST_TOKENS = 2 * N_DIRECTIONS
"""Fewer tokens have no directions to speak of."""


CONTROL = ", control"
"""Behind the name of an arm: that of its control."""
CHANGE_BYTES = 1 << 30
"""The most that the differences of the layers that are read at once may take."""


@dataclass(frozen=True)
class LayerDirections:
    """Directions in which two models differ at one layer on some prompts.

    Attributes:
        basis: orthonormal, the one with the largest share first.
        control: those on prompts of no kind; None where too little is said there, and random ones take their
            place.
    """

    basis: Float[Tensor, "k width"]
    control: Float[Tensor, "k width"] | None = None


@dataclass(frozen=True)
class ChangeSubspace:
    """Directions in which two models differ on some prompts, at every layer.

    Attributes:
        name: of it in the report.
        address: where the base is raised; one of `layers`.
        layers: by address, where the tuned model is lowered; a layer at which nothing differs is not there.
        share: of the squared differences at `address` that it was found on, how much lies in it.
    """

    name: str
    address: str
    layers: Mapping[str, LayerDirections]
    share: float

    @property
    def has_control(self) -> bool:
        """Whether its control is directions of other prompts where the base is raised."""
        return self.layers[self.address].control is not None


def read_changes(
    base: Model, tuned: Model, rows: Sequence[Row], addresses: Sequence[str]
) -> dict[str, list[Float[Tensor, "_ width"]]]:
    """At each address for each row the difference, tuned less base, at the tokens that predict its answer.

    Args:
        base, tuned: of one shape, with one tokenizer.
        rows: prompts with the tuned model's answers; one without an answer has no tokens.
        addresses: of the residual stream.
    """
    changes = {address: [torch.empty(0, base.d_model) for _ in rows] for address in addresses}
    for batch, before, after, where in _read_both(base, tuned, rows, addresses):
        for address, listed in changes.items():
            change = after[address] - before[address]
            for line, index in enumerate(batch):
                listed[index] = change[line, where[line]]
    return changes


def find_subspaces(
    base: Model,
    tuned: Model,
    rows: Sequence[Row],
    kinds: Mapping[str, Collection[int]],
    address: str,
    addresses: Sequence[str],
) -> dict[str, ChangeSubspace]:
    """The directions of most difference on each kind of prompts; without those where nothing differs at
    `address`, or too little is said.

    Args:
        base, tuned: of one shape, with one tokenizer.
        rows: discovery prompts with the tuned model's answers.
        kinds: by name the rows of each; the rows of none are the control of all.
        address: where the base is to be raised.
        addresses: where the tuned model is to be lowered; with `address`.
    """
    kindless = set(range(len(rows))).difference(*kinds.values())
    layers: dict[str, dict[str, LayerDirections]] = {name: {} for name in kinds}
    shares: dict[str, float] = {}
    size = 4 * base.d_model * max(1, sum(len(row.answer) for row in rows))
    at_once = max(1, CHANGE_BYTES // size)
    for start in range(0, len(addresses), at_once):
        for place, changes in read_changes(base, tuned, rows, addresses[start : start + at_once]).items():
            others = _most_different([changes[index] for index in sorted(kindless)])
            for name, members in kinds.items():
                found = _most_different([changes[index] for index in sorted(members)])
                if found is None:
                    continue
                layers[name][place] = LayerDirections(found[0], None if others is None else others[0])
                if place == address:
                    shares[name] = found[1]
    return {name: ChangeSubspace(name, address, layers[name], share) for name, share in shares.items()}


def _most_different(
    changes: Sequence[Float[Tensor, "_ width"]],
) -> tuple[Float[Tensor, "k width"], float] | None:
    """Orthonormal directions and the share of the squares in them."""
    matrix = torch.cat(list(changes)) if changes else torch.empty(0, 0)
    if len(matrix) < LEAST_TOKENS or not matrix.any():
        return None
    if min(matrix.shape) <= DENSE:
        _, sizes, directions = torch.linalg.svd(matrix.double(), full_matrices=False)
    else:
        # The first few alone: all of them would take minutes a layer of a wide model.
        from scipy.sparse.linalg import svds

        _, rising, found = svds(matrix.double().numpy(), k=N_DIRECTIONS, v0=np.ones(min(matrix.shape)))
        order = np.argsort(-rising)
        sizes, directions = (torch.from_numpy(np.asarray(part)[order]) for part in (rising, found))
    share = sizes[:N_DIRECTIONS].square().sum() / matrix.double().square().sum()
    return directions[:N_DIRECTIONS].float().contiguous(), float(share)


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
    losses = {
        f"{arm}{of}": np.full(len(rows), np.nan) for arm in ("raised", "lowered") for of in ("", CONTROL)
    }
    for batch, before, after, where in _read_both(base, tuned, rows, list(subspace.layers)):
        chosen = [rows[index] for index in batch]
        for arm, model, target, places in (
            ("raised", base, after, [subspace.address]),
            ("lowered", tuned, before, list(subspace.layers)),
        ):
            for of in ("", CONTROL):
                exchange = _exchange(subspace, target, where, seed if of else None)
                losses[f"{arm}{of}"][batch] = _losses_with(model, chosen, places, exchange)
    return losses


def _exchange(
    subspace: ChangeSubspace,
    target: Mapping[str, Float[Tensor, "rows columns width"]],
    where: Bool[Tensor, "rows columns"],
    seed: int | None,
) -> Rewrite:
    """What moves activations to another model's, as far as both differ in the directions; with a seed, as
    far along the control's.
    """

    def exchange(address: str, hidden: Tensor, _: Mapping[str, Tensor]) -> Tensor:
        found = subspace.layers[address]
        change = target[address] - hidden.float().cpu()
        moved = (change @ found.basis.T @ found.basis) * where[..., None]
        if seed is not None:
            others = found.control
            if others is None:
                drawn = derived_seed(seed, "control", subspace.name, address)
                others = random_basis(len(found.basis), found.basis.shape[1], drawn)
            beside = change @ others.T @ others
            moved = beside * (moved.norm(dim=-1) / beside.norm(dim=-1).clamp_min(1e-12))[..., None]
        return hidden + moved.to(hidden.device, hidden.dtype)

    return exchange


def random_basis(count: int, width: int, seed: int) -> Float[Tensor, "k width"]:
    """Random orthonormal directions, `[count, width]`."""
    drawn = torch.randn(width, count, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(drawn)[0].T


def _read_both(
    base: Model, tuned: Model, rows: Sequence[Row], addresses: Sequence[str]
) -> Iterator[tuple[list[int], dict[str, Tensor], dict[str, Tensor], Bool[Tensor, "rows columns"]]]:
    """A batch of rows with an answer, what both models have at every column, and the columns that predict an
    answer's token.
    """
    for batch in answered_batches((base, tuned), rows):
        chosen = [rows[index] for index in batch]
        before, after = (_hidden(model, chosen, addresses) for model in (base, tuned))
        where = torch.zeros(before[addresses[0]].shape[:2], dtype=torch.bool)
        for line, row in enumerate(chosen):
            where[line, row.prompt_length - 1 : len(row) - 1] = True
        yield batch, before, after, where


def _hidden(
    model: Model, rows: Sequence[Row], addresses: Sequence[str]
) -> dict[str, Float[Tensor, "rows columns width"]]:
    kept: dict[str, Tensor] = {}

    def keep(address: str, hidden: Tensor, _: Mapping[str, Tensor]) -> Tensor:
        kept[address] = hidden.detach().float().cpu()
        return hidden

    with torch.inference_mode(), rewritten(model, [], addresses, keep):
        model.hf(**model.batch(list(rows)), use_cache=False)
    return kept


def _losses_with(
    model: Model, rows: Sequence[Row], addresses: Sequence[str], rewrite: Rewrite
) -> list[float]:
    """The nats a token of the rows' answers with activations rewritten."""
    with torch.inference_mode(), rewritten(model, [], addresses, rewrite):
        logits = model.hf(**model.batch(list(rows)), use_cache=False).logits
    losses: list[float] = []
    for line, row in enumerate(rows):
        said = logits[line, row.prompt_length - 1 : len(row) - 1].float().log_softmax(-1).cpu()
        losses.append(-float(said.gather(-1, torch.tensor(row.answer)[:, None]).double().mean()))
    return losses

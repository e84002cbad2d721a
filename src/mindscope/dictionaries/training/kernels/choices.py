"""Which latents are active: the k largest of a token, of a whole batch, or all positive ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mindscope.dictionaries.training.processes import ALONE, ALONE_MESH, TrainingMesh, TrainingWorld
from mindscope.features import find_places, read_numbers

NEAR = 0.97
"""BatchTopK first takes what is above this share of the running threshold, and falls back to sorting all."""
ROOM = 2
"""On a device, places for so many times the scores that are kept: NEAR lists a tenth more on the average."""


def top_of_rows(
    values: Float[Tensor, "tokens latents"], k: int
) -> tuple[Float[Tensor, "tokens k"], Int[Tensor, "tokens k"]]:
    """The k largest of each row, in no order.

    The k largest are among the k groups of latents with the largest maxima, so most latents are never
    sorted. Twice as fast on a CPU as sorting all.
    """
    tokens, latents = values.shape
    size = 8
    groups = latents // size
    if latents % size or k * 4 > groups or values.device.type != "cpu":
        top = values.topk(k, dim=1, sorted=False)
        return top.values, top.indices
    # Group g holds the latents g, g + groups, g + 2 * groups, …: the maximum then runs along memory.
    # A latent among the k largest lies in one of the k groups with the largest maxima: were it in another,
    # k groups would each hold a value at least as large.
    best = values.view(tokens, size, groups).amax(1).topk(k, dim=1, sorted=False).indices
    members = torch.arange(0, latents, groups).view(1, size, 1)
    candidates = (best.unsqueeze(1) + members).view(tokens, size * k)
    top = values.gather(1, candidates).topk(k, dim=1, sorted=False)
    return top.values, candidates.gather(1, top.indices)


def top_of_slices(
    values: Float[Tensor, "tokens own"], k: int, latents: TrainingWorld
) -> Bool[Tensor, "tokens own"]:
    """Which of a process's largest values of each token are among the k largest of all slices."""
    joined, own = latents.joined(values.T.contiguous())  # candidates of all slices x tokens
    best = joined.topk(min(k, len(joined)), dim=0, sorted=False).indices
    return torch.zeros_like(joined, dtype=torch.bool).scatter_(0, best, True)[own].T


@dataclass(frozen=True, slots=True)
class TopOfTokens:
    """TopK: the k largest of each token. With `weights`, of pre-activation times weight.

    With processes that share latents each finds its own k largest, of which those of all together are kept.
    """

    k: int
    weights: Tensor | None = None
    latents: TrainingWorld = ALONE

    def choose(self, pieces: "Pieces", count: int) -> "Chosen":
        indices_of, values_of = [], []
        for _, preactivations in pieces():
            scores = preactivations if self.weights is None else preactivations * self.weights
            values, indices = top_of_rows(scores, min(self.k, scores.shape[1]))
            indices_of.append(indices)
            values_of.append(values)
        values, indices = torch.cat(values_of), torch.cat(indices_of)
        active = values > 0  # a token may have fewer than k positive ones
        if self.latents.count > 1:
            active &= top_of_slices(values, self.k, self.latents)
        tokens = torch.arange(count, device=indices.device)
        tokens = tokens.repeat_interleave(values.shape[1], output_size=values.numel())
        values, indices, active = values.flatten(), indices.flatten(), active.flatten()
        (n_active,), _ = read_numbers(active.sum())
        if n_active < len(active):
            places = find_places(active, n_active)
            tokens, indices, values = tokens[places], indices[places], values[places]
        return indices, tokens, values if self.weights is None else None


@dataclass(frozen=True, slots=True)
class TopOfBatch:
    """BatchTopK: the k * tokens largest of the batch, of them the positive ones (arXiv 2412.06410, eq. 3).

    To sort tokens x latents scores for the sake of k a token would cost more than the product itself:

    1. What the smallest chosen score was in the batch before (`expected`) is a good guess for this one.
       Scores above 0.97 of it are listed; they are a little more than are needed.
    2. Where they are too few, or nothing is known yet (`expected` 0), all positive scores are listed instead.
    3. Among the listed, the smallest that is to be kept is found by selection (linear in their number).
    4. All above it are kept, and of its equals as many as there is room for, so that the count is exact.

    With several processes each lists its own tokens and latents, and the smallest is that of all of them
    together. None sends more than could be kept if the others had nothing.
    """

    k: int
    expected: float = 0.0
    weights: Tensor | None = None
    mesh: TrainingMesh = ALONE_MESH

    def choose(self, pieces: "Pieces", count: int) -> "Chosen":
        n_chosen = self.k * count * self.mesh.data.count
        scores, latents, tokens = self._above(pieces, NEAR * self.expected, n_chosen)  # step 1
        # `listed` are the scores of all processes, `own` the places of this one's among them
        listed, own = self.mesh.everyone.joined(scores)
        if len(listed) < n_chosen and self.expected > 0:  # step 2
            scores, latents, tokens = self._above(pieces, 0.0, n_chosen)
            listed, own = self.mesh.everyone.joined(scores)
        if len(listed) > n_chosen:
            kept = _largest(listed, n_chosen)[own]
            scores, latents, tokens = scores[kept], latents[kept], tokens[kept]
        return latents, tokens, scores if self.weights is None else None

    def choose_on_device(self, pieces: "Pieces", count: int) -> "Chosen | None":
        """What `choose` gives, with the host waiting once; None where it is to choose after all.

        The listed go into places that are there before it is known how many they are. None where they have no
        room, as in the first batch, or are too few. For one process.
        """
        n_chosen = self.k * count
        room, n_latents = ROOM * n_chosen, 0
        scores = origins = n_listed = None
        for start, preactivations in pieces():
            piece = preactivations if self.weights is None else preactivations * self.weights
            n_latents = piece.shape[1]
            flat = piece.flatten()
            if scores is None or origins is None or n_listed is None:
                scores = flat.new_full((room + 1,), -torch.inf)
                origins = torch.zeros(room + 1, dtype=torch.long, device=flat.device)
                n_listed = origins.new_zeros(())
            above = flat > NEAR * self.expected  # step 1
            places = above.cumsum(0) - 1 + n_listed
            # the last place is for what is not listed, or has no room, and is not looked at
            places = torch.where(above & (places < room), places, room)
            scores.scatter_(0, places, flat)
            origins.scatter_(0, places, torch.arange(len(flat), device=flat.device).add_(start * n_latents))
            n_listed = n_listed + above.sum()
        if scores is None or origins is None or n_listed is None:
            return None
        scores, origins = scores[:room], origins[:room]
        smallest = scores.kthvalue(room - n_chosen + 1).values  # step 3: the n_chosen-th largest
        kept = scores > smallest  # step 4
        ties = (scores == smallest) & (scores > -torch.inf)
        kept |= ties & (ties.cumsum(0) <= n_chosen - kept.sum())
        (n_kept, n_found), _ = read_numbers(torch.stack([kept.sum(), n_listed]))
        if n_found > room or (n_kept < n_chosen and self.expected > 0):
            return None
        places = find_places(kept, n_kept)
        origins = origins[places]
        return (
            origins % n_latents,
            origins // n_latents,
            scores[places] if self.weights is None else None,
        )

    def _above(self, pieces: "Pieces", floor: float, most: int) -> tuple[Tensor, Tensor, Tensor]:
        scores, latents, tokens = [], [], []
        for start, preactivations in pieces():
            piece = preactivations if self.weights is None else preactivations * self.weights
            # one flat search is faster than a search for pairs; a flat index is token * latents + latent
            flat = (piece > floor).flatten().nonzero().flatten()
            scores.append(piece.flatten()[flat])
            latents.append(flat % piece.shape[1])
            tokens.append(flat // piece.shape[1] + start)
        listed = torch.cat(scores), torch.cat(latents), torch.cat(tokens)
        if self.mesh.everyone.count == 1 or len(listed[0]) <= most:
            return listed
        kept = _largest(listed[0], most)
        return listed[0][kept], listed[1][kept], listed[2][kept]


def _largest(scores: Float[Tensor, "listed"], count: int) -> Bool[Tensor, "listed"]:
    """Marks so many of the scores, the largest; of those that equal the smallest of them the first."""
    smallest = scores.kthvalue(len(scores) - count + 1).values  # step 3
    kept = scores > smallest  # step 4
    ties = (scores == smallest).nonzero().flatten()
    kept[ties[: count - int(kept.sum())]] = True
    return kept


@dataclass(frozen=True, slots=True)
class PositivePart:
    """ReLU: every positive pre-activation."""

    def choose(self, pieces: "Pieces", count: int) -> "Chosen":
        # active x (token, latent); tokens are counted within a piece until its start is added
        pairs = [((part > 0).nonzero(), start) for start, part in pieces()]
        places = torch.cat([pair + pair.new_tensor([start, 0]) for pair, start in pairs])
        return places[:, 1].contiguous(), places[:, 0].contiguous(), None


Choice = TopOfTokens | TopOfBatch | PositivePart
Pieces = Callable[[], Iterator[tuple[int, Tensor]]]
"""Gives (first token, pre-activations of some tokens), again from the beginning each time it is called. What
it gave before is overwritten."""
Chosen = tuple[Tensor, Tensor, Tensor | None]
"""Latents and tokens `[active]`, by token, and pre-activations where the choice has them at hand."""

"""Latents whose decoder rows are alike: whether they stand for like things, and how they split.

1. From each latent that fires often enough, the nearest ones of the largest dictionary by the cosine of
   decoder rows are compared with all others there:
   - by the tokens that they fire on, as the cosine of their activations summed up token by token;
   - where texts are labelled, by what they stand for: of nearest ones that stand for something else, how many
     are of the same kind.
   Random dictionaries, as large and as sparse, say what likeness comes of near rows alone; dictionaries whose
   rows are activations of tokens say what comes of how activations lie, without any learning.
2. A child of a latent of the smallest dictionary is one of a larger whose nearest row there is the parent's,
   near enough, and which fires mostly where the parent fires. A dictionary of the same size with other
   first weights has as many children as come without any splitting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from mindscope.dictionaries import Dictionary
from mindscope.probes import best_thresholds
from mindscope.studies.common import randomise, round_known
from mindscope.studies.scaling.names import TextActivations, concept_groups
from mindscope.studies.scaling.paper import (
    ALIVE_TOKENS,
    CHILD_COSINE,
    CHILD_INSIDE,
    LABELLED,
    NEIGHBOURS,
)
from mindscope.studies.scaling.presence import pool_texts
from mindscope.studies.scaling.results import LatentFamily, NearScores, NearSeed, SplitScores

RARE = 0.25
"""Concepts that always saying yes tells with this F1 are no labels: half of what a label is asked for."""
FAMILIES = 6
"""Families that are told."""


@dataclass(frozen=True)
class LatentLabels:
    """What latents stand for; only of those that have a label.

    Attributes:
        names: by latent.
        kinds: of the same.
    """

    names: Mapping[int, str]
    kinds: Mapping[int, str]


class FiringLatents:
    """The latents of a dictionary that fire often enough on some tokens.

    Attributes:
        latents: their numbers.
        rows: of the decoder, with norm 1.
    """

    def __init__(self, dictionary: Dictionary, x: Float[Tensor, "tokens width"], ids: Int[Tensor, "tokens"]):
        """Let them fire.

        Args:
            dictionary: whose.
            x: activations.
            ids: of the tokens.
        """
        self.dictionary, self._ids = dictionary, ids
        self._code = dictionary.encode(x)
        counts = torch.bincount(self._code.indices, minlength=dictionary.n_latents)
        self.latents = (counts >= ALIVE_TOKENS).nonzero()[:, 0]
        self.rows = normalize(dictionary.decoder(0, 0).float()[self.latents], dim=1)
        self.active = len(self._code.indices) / len(x)

    @cached_property
    def profiles(self) -> Float[Tensor, "latents vocabulary"]:
        """How much each fires on each token of the vocabulary, with norm 1."""
        table = torch.zeros(self.dictionary.n_latents, int(self._ids.max()) + 1)
        places = self._code.indices * table.shape[1] + self._ids[self._code.tokens]
        table.view(-1).scatter_add_(0, places, self._code.values.detach().float())
        return normalize(table[self.latents], dim=1)

    @cached_property
    def fires(self) -> Bool[Tensor, "tokens latents"]:
        """On which tokens each fires."""
        return (self._code.dense() > 0)[:, self.latents]

    def label(self, texts: TextActivations) -> LatentLabels:
        """What each stands for on labelled texts."""
        kinds = concept_groups()
        counts = {name: sum(name in shown for shown in texts.concepts) for name in kinds}
        # what many texts show is told by saying yes to all of them: an F1 of 2 n / (n + texts)
        names = [
            n for n, count in counts.items() if count > 1 and 2 * count / (count + len(texts.concepts)) < RARE
        ]
        if not names:
            return LatentLabels({}, {})
        f1s, _ = best_thresholds(pool_texts(texts, self._code)[:, self.latents], texts.shown(names))
        best = f1s.max(0)
        labels = {
            number: names[int(best.indices[number])]
            for number in range(len(self.latents))
            if best.values[number] >= LABELLED
        }
        return LatentLabels(labels, {number: kinds[name] for number, name in labels.items()})

    def tell(self, number: int, labels: LatentLabels | None, words: Sequence[str]) -> str:
        """What one stands for, or the three tokens that it fires on most."""
        if labels is not None and number in labels.names:
            return labels.names[number]
        return " ".join(words[int(token)] for token in self.profiles[number].topk(3).indices)


@torch.no_grad()
def measure_near(
    dictionaries: Sequence[Dictionary],
    again: Dictionary,
    tokens: tuple[Float[Tensor, "tokens width"], Int[Tensor, "tokens"]],
    words: Sequence[str],
    seed: int,
    texts: TextActivations | None = None,
) -> NearSeed:
    """Neighbourhoods of one seed.

    Args:
        dictionaries: the smallest first.
        again: the smallest with other first weights.
        tokens: activations to fire on, and their ids.
        words: what the tokens of the vocabulary read like.
        seed: of random directions.
        texts: those that the tokens are of, where they are labelled.
    """
    firing = [FiringLatents(dictionary, *tokens) for dictionary in dictionaries]
    labels = None if texts is None else [own.label(texts) for own in firing]
    blank = [
        replace(randomise(own.dictionary, seed * 10 + n), k=max(1, round(own.active)))
        for n, own in enumerate(firing)
    ]
    random = [FiringLatents(own, *tokens) for own in blank]
    drawn = [FiringLatents(use_tokens(own, tokens[0], seed), *tokens) for own in blank]
    near = []
    for number, own in enumerate(firing):
        shared = near_and_far(own, firing[-1])
        blind = near_and_far(random[number], random[-1])
        unlearnt = near_and_far(drawn[number], drawn[-1])
        scores = NearScores(
            latents=own.dictionary.n_latents,
            cosine=round_known(shared[2]) or 0.0,
            near=round_known(shared[0]),
            far=round_known(shared[1]),
            random_near=round_known(blind[0]),
            random_far=round_known(blind[1]),
            tokens_near=round_known(unlearnt[0]),
            tokens_far=round_known(unlearnt[1]),
        )
        if labels is not None:
            kind, kind_far, count = same_kind(own, firing[-1], labels[number], labels[-1])
            scores = scores.model_copy(
                update={"kind": round_known(kind), "kind_far": round_known(kind_far), "labelled": count}
            )
        near.append(scores)
    others = [FiringLatents(again, *tokens), *firing[1:]]
    families = list_families(firing[0], firing[-1])
    return NearSeed(
        near=tuple(near),
        split=tuple(measure_split(firing[0], other) for other in others),
        families=tuple(
            LatentFamily(
                parent=firing[0].tell(parent, labels[0] if labels else None, words),
                children=tuple(firing[-1].tell(n, labels[-1] if labels else None, words) for n in children),
            )
            for parent, children in families[:FAMILIES]
        ),
    )


def use_tokens(dictionary: Dictionary, x: Float[Tensor, "tokens width"], seed: int) -> Dictionary:
    """With activations of tokens drawn at random, less the bias that is written, as rows of both matrices."""
    draw = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(x), (dictionary.n_latents,), generator=draw)
    rows = normalize(x[chosen] - dictionary.b_dec, dim=1)
    return replace(dictionary, coders=(replace(dictionary.coder, W_enc=rows, W_dec=rows),))


def near_and_far(own: FiringLatents, other: FiringLatents) -> tuple[float | None, float | None, float | None]:
    """How alike tokens are with nearest latents and with all others, and the cosine of the former's rows."""
    cosines = _cosines(own, other)
    if not cosines.numel() or cosines.shape[1] <= NEIGHBOURS + 1:
        return None, None, None
    top = cosines.topk(NEIGHBOURS, dim=1)
    alike = own.profiles @ other.profiles.T
    near = alike.gather(1, top.indices)
    rest = cosines.isfinite().float().scatter(1, top.indices, 0.0)  # neither itself nor near
    return float(near.mean()), float((alike * rest).sum() / rest.sum()), float(top.values.mean())


def same_kind(
    own: FiringLatents, other: FiringLatents, labels: LatentLabels, others: LatentLabels
) -> tuple[float | None, float | None, int]:
    """Of labelled latents that stand for something else, the share of the same kind: of the nearest, of all
    others, and from how many latents it was seen.
    """
    cosines = _cosines(own, other)
    near, far = [], []
    for number, name in labels.names.items():
        there = [n for n in others.names if others.names[n] != name and bool(cosines[number, n].isfinite())]
        if len(there) <= NEIGHBOURS:
            continue
        same = torch.tensor([others.kinds[n] == labels.kinds[number] for n in there]).float()
        nearest = cosines[number, there].topk(NEIGHBOURS).indices
        near.append(float(same[nearest].mean()))
        rest = same.sum() - same[nearest].sum()
        far.append(float(rest / (len(there) - NEIGHBOURS)))
    if not near:
        return None, None, 0
    return sum(near) / len(near), sum(far) / len(far), len(near)


def measure_split(parents: FiringLatents, other: FiringLatents) -> SplitScores:
    """How many children latents have in another dictionary."""
    counts = torch.zeros(len(parents.latents))
    for parent, children in list_children(parents, other).items():
        counts[parent] = len(children)
    return SplitScores(
        latents=other.dictionary.n_latents,
        children=round(float(counts.mean()), 5) if len(counts) else 0.0,
        several=round(float((counts > 1).float().mean()), 5) if len(counts) else 0.0,
    )


def list_children(parents: FiringLatents, other: FiringLatents) -> dict[int, list[int]]:
    """By parent its children."""
    families: dict[int, list[int]] = {}
    if not len(parents.latents) or not len(other.latents):
        return families
    cosine, parent = (other.rows @ parents.rows.T).max(1)
    fires, above = other.fires, parents.fires[:, parent]
    inside = (fires & above).sum(0) / fires.sum(0).clamp(min=1)
    for number in ((cosine >= CHILD_COSINE) & (inside >= CHILD_INSIDE)).nonzero()[:, 0].tolist():
        families.setdefault(int(parent[number]), []).append(number)
    return families


def list_families(parents: FiringLatents, other: FiringLatents) -> list[tuple[int, list[int]]]:
    """Parents with two children or more, the largest families first."""
    found = [family for family in list_children(parents, other).items() if len(family[1]) > 1]
    return sorted(found, key=lambda family: (-len(family[1]), family[0]))


def _cosines(own: FiringLatents, other: FiringLatents) -> Float[Tensor, "latents others"]:
    """Of decoder rows; a latent is not near itself."""
    cosines = own.rows @ other.rows.T
    if own is other:
        cosines.fill_diagonal_(-torch.inf)
    return cosines

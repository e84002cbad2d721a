"""Activations of two made-up models whose shared, exclusive, rotated and weakened features are known.

A model is a set of unit directions (atoms), each active on a random 5 % of the tokens with a strength between
0.5 and 1.5. Both models are active alike; what differs is what they write:

- shared: the same direction in both;
- tuned, base: a direction in one model, nothing in the other;
- rotated: directions in both at a known angle;
- weak: the same direction in both, in the base at a known share of its strength. An L1 penalty shrinks it
  away there and claims it for the tuned model (complete shrinkage, arXiv 2504.02922).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from mindscope.core import ModelIdentity
from mindscope.dictionaries import Dictionary
from mindscope.features import Site

AtomKind = Literal["shared", "tuned", "base", "rotated", "weak"]
KINDS: tuple[AtomKind, ...] = get_args(AtomKind)
MATCH = 0.8
"""The cosine from which a latent's decoder row is an atom: two random directions of 64 numbers stay below
0.5."""


@dataclass(frozen=True)
class PairConfig:
    """How many atoms of each kind, and how both models differ in them."""

    width: int = 64
    shared: int = 40
    tuned: int = 6
    base: int = 6
    rotated: int = 6
    weak: int = 6
    density: float = 0.05
    cosine: float = 0.6
    """Between the two directions of a rotated atom."""
    weakness: float = 0.25
    """The strength of a weak atom in the base."""
    noise: float = 0.01
    seed: int = 0


class SyntheticPair:
    """An `ActivationSource` of two models with known atoms.

    Attributes:
        kinds: of each atom.
        atoms: `[2, atoms, width]`: what the base and the tuned model write.
    """

    def __init__(self, config: PairConfig | None = None):
        self.config = config = config or PairConfig()
        self.names = ("base:resid_post.0", "tuned:resid_post.0")
        self.sites = tuple(Site("resid_post.0", config.width, model) for model in ("base", "tuned"))
        self.models: Mapping[str, str | None] = {"base": "synthetic-base", "tuned": "synthetic-tuned"}
        self.made_with: Mapping[str, ModelIdentity] = {}
        self.kinds: list[AtomKind] = [kind for kind in KINDS for _ in range(getattr(config, kind))]
        draw = torch.Generator().manual_seed(config.seed)
        first, second = (
            normalize(torch.randn(len(self.kinds), config.width, generator=draw), dim=1) for _ in range(2)
        )
        across = normalize(second - (second * first).sum(1, keepdim=True) * first, dim=1)
        turned = config.cosine * first + (1 - config.cosine**2) ** 0.5 * across
        base, tuned = first.clone(), first.clone()
        for index, kind in enumerate(self.kinds):
            if kind == "tuned":
                base[index] = 0
            elif kind == "base":
                tuned[index] = 0
            elif kind == "rotated":
                tuned[index] = turned[index]
            elif kind == "weak":
                base[index] *= config.weakness
        self.atoms = torch.stack([base, tuned])

    def fill(self, buffer: Float[Tensor, "tokens width"], position: tuple[int, int]) -> tuple[int, int]:
        """Tokens that follow from the position alone, so that a training goes on where it was."""
        seed = (self.config.seed * 1_000_003 + position[1]) * 31 + 7
        draw = torch.Generator().manual_seed(seed)
        shape = (len(buffer), len(self.kinds))
        active = torch.rand(shape, generator=draw) < self.config.density
        strength = active * (0.5 + torch.rand(shape, generator=draw))
        written = torch.cat([strength @ self.atoms[0], strength @ self.atoms[1]], dim=1)
        buffer.copy_(written + self.config.noise * torch.randn(written.shape, generator=draw))
        return position[0], position[1] + 1

    def batch(self, tokens: int, number: int = 10_000_000) -> Float[Tensor, "tokens width"]:
        """Tokens that training has not seen."""
        buffer = torch.empty(tokens, 2 * self.config.width)
        self.fill(buffer, (0, number))
        return buffer


@dataclass(frozen=True)
class AtomScores:
    """How well latents that are called one model's own are its atoms.

    Attributes:
        n_called: latents that are called so.
        n_right: of them those that are an exclusive atom of that model.
        n_atoms: such atoms.
        n_recovered: of them those that a called latent is.
        wrong: of the others called, how many are atoms of each kind; `none` for latents that are no atom.
    """

    n_called: int
    n_right: int
    n_atoms: int
    n_recovered: int
    wrong: Mapping[str, int]

    @property
    def precision(self) -> float:
        """Of the called latents those that are right; 1 where none is called."""
        return self.n_right / self.n_called if self.n_called else 1.0

    @property
    def recall(self) -> float:
        """Of the atoms those that were found."""
        return self.n_recovered / self.n_atoms


def score_exclusive(
    pair: SyntheticPair, crosscoder: Dictionary, called: Bool[Tensor, "latents"]
) -> AtomScores:
    """Compare the latents that are called the tuned model's own with its atoms."""
    width = pair.config.width
    rows = normalize(crosscoder.coder.W_dec.float()[:, width:], dim=1)[called]
    similarity = rows @ normalize(pair.atoms[1], dim=1).T  # latents x atoms; 0 for what it does not write
    best = similarity.max(1) if len(rows) else None
    wrong: dict[str, int] = {}
    recovered: set[int] = set()
    n_right = 0
    for value, atom in zip(*(best.values.tolist(), best.indices.tolist()), strict=True) if best else ():
        kind = pair.kinds[atom] if value >= MATCH else "none"
        if kind == "tuned":
            n_right += 1
            recovered.add(atom)
        else:
            wrong[kind] = wrong.get(kind, 0) + 1
    return AtomScores(int(called.sum()), n_right, pair.config.tuned, len(recovered), wrong)

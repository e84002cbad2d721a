"""Activations whose dictionary is known: sparse positive sums of fixed atoms."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mindscope.dictionaries import Dictionary, Site
from mindscope.dictionaries.sources import Position

WIDTH, ATOMS, ACTIVE = 32, 64, 3


class AtomSource:
    """Each token is the sum of about ACTIVE of ATOMS unit vectors, each with a strength from 1 to 2.

    Site `here` holds the sum; `there` the same strengths on other atoms, through which a transcoder maps.
    """

    names = ("here", "there")
    sites = (Site("here", WIDTH), Site("there", WIDTH))

    def __init__(self, scale: float = 1.0) -> None:
        draw = torch.Generator().manual_seed(0)
        self.atoms, self.images = (
            scale * normalize(torch.randn(ATOMS, WIDTH, generator=draw)) for _ in range(2)
        )

    def tokens(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Strengths `[tokens, ATOMS]`, and the activations at both sites."""
        draw = torch.Generator().manual_seed(seed)
        on = torch.rand(count, ATOMS, generator=draw) < ACTIVE / ATOMS
        strengths = on * (1 + torch.rand(count, ATOMS, generator=draw))
        return strengths, torch.cat([strengths @ self.atoms, strengths @ self.images], dim=1)

    def fill(self, buffer: Tensor, position: Position) -> Position:
        buffer.copy_(self.tokens(len(buffer), 10 + position[1])[1])
        return position[0], position[1] + len(buffer)

    def recovered(self, dictionary: Dictionary, side: int = 0) -> float:
        """The share of atoms that some decoder row has a cosine of 0.95 or more with."""
        rows = normalize(dictionary.coder.W_dec)
        cosines = normalize((self.atoms, self.images)[side]) @ rows.T
        return float((cosines.max(1).values >= 0.95).float().mean())

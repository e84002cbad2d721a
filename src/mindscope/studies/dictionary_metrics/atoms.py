"""Activations whose truth is known: sums of atoms, some of which exclude one another or need a parent.

A sample is x = sum_i a_i d_i + noise, with unit directions d_i in random places:

1. With probability `parent_share` one parent is there, and then with `child_share` one of its children. A
   dictionary that is to be sparse gains by writing parent and child as one latent, which then stands in for
   the parent: absorption (Chanin et al. 2024, arXiv 2409.14507).
2. Every single atom is there independently, the k-th with probability `most` / k^0.5.
3. Strengths are |N(1, 1/4)|.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.core import ModelIdentity
from mindscope.features import FIRST, Site
from mindscope.store import derived_seed
from mindscope.studies.dictionary_metrics.config import AtomConfig

ADDRESS = "resid_post.0"
"""Where a dictionary of atoms says that it belongs; no model is there."""


class AtomWorld:
    """One draw of atoms.

    Attributes:
        directions: one of each atom: parents, children parent by parent, then singles.
    """

    def __init__(self, config: AtomConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        generator = torch.Generator().manual_seed(derived_seed(seed, "atoms"))
        drawn = torch.randn(config.atoms, config.width, generator=generator)
        self.directions = torch.nn.functional.normalize(drawn, dim=1)
        rank = torch.arange(1, config.singles + 1)
        self._single_shares = config.most / rank.sqrt()

    def draw(
        self,
        count: int,
        generator: torch.Generator,
        parents: Int[Tensor, "count"] | None = None,
        flags: Float[Tensor, "count"] | None = None,
    ) -> tuple[Float[Tensor, "count width"], Float[Tensor, "count atoms"]]:
        """Samples and their atoms' strengths.

        Args:
            count: how many.
            generator: of everything that is drawn.
            parents: the parent of every sample; by default some have none.
            flags: whether the commonest single atom is there; by default it is drawn.
        """
        config = self.config

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator)

        there = torch.zeros(count, config.atoms)
        rows = torch.arange(count)
        with_parent = uniform(count) < config.parent_share
        drawn = torch.randint(config.parents, (count,), generator=generator)
        if parents is not None:
            with_parent, drawn = torch.ones(count, dtype=torch.bool), parents
        there[rows, drawn] = with_parent.float()
        with_child = (uniform(count) < config.child_share) & with_parent
        child = torch.randint(config.children, (count,), generator=generator)
        there[rows, config.parents + drawn * config.children + child] = with_child.float()
        singles = (uniform(count, config.singles) < self._single_shares).float()
        if flags is not None:
            singles[:, 0] = flags
        there[:, -config.singles :] = singles
        strengths = there * (1 + 0.25 * torch.randn(there.shape, generator=generator)).abs()
        noise = config.noise * torch.randn(count, config.width, generator=generator)
        return strengths @ self.directions + noise, strengths


class AtomSource:
    """The samples of a world without end, as training reads them. Implements `ActivationSource`."""

    def __init__(self, world: AtomWorld) -> None:
        self._world = world
        self.names: tuple[str, ...] = (ADDRESS,)
        self.sites: tuple[Site, ...] = (Site(ADDRESS, world.config.width),)
        self.models: Mapping[str, str | None] = {FIRST: None}
        self.made_with: Mapping[str, ModelIdentity] = {}

    def fill(self, buffer: Float[Tensor, "tokens width"], position: tuple[int, int]) -> tuple[int, int]:
        """Other samples for every position; the same for the same one."""
        generator = torch.Generator().manual_seed(derived_seed(self._world.seed, "training", *position))
        buffer[:] = self._world.draw(len(buffer), generator)[0]
        return position[0], position[1] + len(buffer)

"""Which sites the coders of a dictionary read and write, and what one of its latents is there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from mindscope.errors import DataError
from mindscope.features import Direction, Site


@dataclass(frozen=True, slots=True)
class Wiring:
    """Which of the dictionary's reads and writes one coder has, as indices, and how many latents it has."""

    reads: tuple[int, ...]
    writes: tuple[int, ...]
    n_latents: int


@dataclass(frozen=True)
class Latent:
    """One latent as directions: what makes it active, and what it does.

    Attributes:
        index: in the dictionary, over all its coders.
        reads: its encoder row, one direction for each site it reads.
        writes: its decoder row, one direction for each site it writes, all-zero ones left out; steer with
            `latent.write.edit(value)`.
        bias: added to the projection on `reads`; `threshold` is what the sum must exceed.
    """

    index: int
    reads: tuple[Direction, ...]
    writes: tuple[Direction, ...]
    bias: float
    threshold: float

    @property
    def read(self) -> Direction:
        """The encoder row of a latent that reads one site."""
        return _sole(self.reads, f"latent {self.index} reads")

    @property
    def write(self) -> Direction:
        """The decoder row of a latent that writes one site."""
        return _sole(self.writes, f"latent {self.index} writes")


def split_row(
    name: str, row: Float[Tensor, "width"], sites: Sequence[Site], models: Mapping[str, str | None]
) -> tuple[Direction, ...]:
    """An encoder or decoder row as directions, one for each site; all-zero ones are left out.

    Raises:
        DataError: the model of a site is not known.
    """
    directions = []
    for site, vector in zip(sites, row.float().split([site.width for site in sites]), strict=True):
        fingerprint = models[site.model]
        if fingerprint is None:
            raise DataError("nobody knows whose dictionary this is: bind it to its model with .bind(model)")
        if vector.any():
            directions.append(Direction(name, site.address, vector, fingerprint))
    return tuple(directions)


def _sole(directions: tuple[Direction, ...], what: str) -> Direction:
    if len(directions) != 1:
        raise DataError(f"{what} {len(directions)} sites: choose one of them")
    return directions[0]

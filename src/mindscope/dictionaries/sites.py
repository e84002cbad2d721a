"""Which sites the coders of a dictionary read and write, and what one of its latents is there."""

from dataclasses import dataclass

from mindscope.errors import DataError
from mindscope.features import Direction


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


def _sole(directions: tuple[Direction, ...], what: str) -> Direction:
    if len(directions) != 1:
        raise DataError(f"{what} {len(directions)} sites: choose one of them")
    return directions[0]

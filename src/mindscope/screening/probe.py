"""The vectors of all traits as one set of directions, read in one pass that ends at the deepest of them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import DataError
from mindscope.features import Direction
from mindscope.models import Model, PackedConversation, Project, Read, Where
from mindscope.personas import PersonaVectors, default_layer
from mindscope.screening.config import ScreenConfig


@dataclass(frozen=True)
class TraitProjector:
    """One unit vector per trait, each at its layer.

    Source: projection `a . v / |v|`, Chen et al. 2025, arXiv 2507.21509.
    """

    traits: tuple[str, ...]
    layers: tuple[int, ...]
    directions: tuple[Direction, ...]

    @classmethod
    def of(cls, model: Model, vectors: Sequence[PersonaVectors], config: ScreenConfig) -> "TraitProjector":
        """Raises DataError for no vectors, two of one trait, another model's, or a layer without a vector."""
        if not vectors:
            raise DataError("there are no vectors to screen with: give at least one")
        traits = tuple(each.trait for each in vectors)
        if len(set(traits)) < len(traits):
            twice = next(trait for trait in traits if traits.count(trait) > 1)
            raise DataError(f"there are two sets of vectors of '{twice}': give one for each trait")
        if isinstance(config.layers, Mapping) and (unknown := set(config.layers) - set(traits)):
            raise DataError(f"layers name '{min(unknown)}', but the vectors are of {', '.join(traits)}")
        for each in vectors:
            each.require(model)
        layers = tuple(layer_of(each, config.layers) for each in vectors)
        directions = tuple(
            each.direction(layer, config.kind) for each, layer in zip(vectors, layers, strict=True)
        )
        return cls(traits, layers, directions)

    @property
    def addresses(self) -> dict[str, list[int]]:
        """Which columns belong to each address."""
        found: dict[str, list[int]] = {}
        for column, direction in enumerate(self.directions):
            found.setdefault(direction.address, []).append(column)
        return found

    def digest(self) -> str:
        """A short name for exactly these directions at these addresses, in this order."""
        digest = hashlib.blake2b(repr(tuple(self.addresses.items())).encode(), digest_size=8)
        for direction in self.directions:
            digest.update(direction.vector.float().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def reads(self, where: Where) -> dict[str, Read]:
        """The projections of every token of `where`, one read per address."""
        return {
            address: Read(address, Project(torch.stack([self.directions[i].unit for i in columns]), where))
            for address, columns in self.addresses.items()
        }

    def joined(self, by_address: Mapping[str, Tensor]) -> Float[Tensor, "tokens traits"]:
        """The columns of all addresses in the order of the traits."""
        columns = [column for found in self.addresses.values() for column in found]
        values = torch.cat([by_address[address] for address in self.addresses], dim=1)
        return values[:, torch.tensor(columns).argsort()]

    def tokens(
        self,
        model: Model,
        passes: Sequence[PackedConversation],
        progress: Callable[[int, int], object] | None = None,
    ) -> list[Float[Tensor, "tokens traits"]]:
        """The projection of every token of every row, in the caller's order."""
        rows = [each.row for each in passes]
        found = model.read(rows, self.reads("all"), progress=progress)
        return [self.joined({name: one.values[i] for name, one in found.items()}) for i in range(len(rows))]


def layer_of(vectors: PersonaVectors, layers: int | Mapping[str, int] | None) -> int:
    """The layer asked for, or by default the one nearest to 0.55 of the depth."""
    if isinstance(layers, Mapping):
        layers = layers.get(vectors.trait)
    if layers is not None:
        return layers
    return min(vectors.layers, key=lambda layer: (abs(layer - default_layer(vectors.n_layers)), layer))

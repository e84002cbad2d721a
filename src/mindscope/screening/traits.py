"""The vectors of all traits as a set of features, read in one pass that ends at the deepest of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from mindscope.engines import Engine
from mindscope.errors import DataError
from mindscope.features import FIRST, Direction, FeatureSet, random_directions
from mindscope.models import Read, Where
from mindscope.personas import PersonaVectors, default_layer
from mindscope.screening.config import ScreenConfig


@dataclass(frozen=True)
class ScreenedTraits:
    """A direction per trait, each at its layer.

    Source: projection `a . v / |v|`, Chen et al. 2025, arXiv 2507.21509.
    """

    names: tuple[str, ...]
    layers: tuple[int, ...]
    directions: tuple[Direction, ...]

    @classmethod
    def of(cls, model: Engine, vectors: Sequence[PersonaVectors], config: ScreenConfig) -> "ScreenedTraits":
        """The vectors at the layers of the configuration.

        Raises:
            DataError: there are no vectors, two of one trait, another model's, or a layer without a vector.
        """
        if not vectors:
            raise DataError("there are no vectors to screen with: give at least one")
        names = tuple(item.trait for item in vectors)
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"there are two sets of vectors of '{twice}': give one for each trait")
        if isinstance(config.layers, Mapping) and (unknown := set(config.layers) - set(names)):
            raise DataError(f"layers name '{min(unknown)}', but the vectors are of {', '.join(names)}")
        for item in vectors:
            item.require(model)
        layers = tuple(layer_of(item, config.layers) for item in vectors)
        directions = tuple(
            item.direction(layer, config.kind) for item, layer in zip(vectors, layers, strict=True)
        )
        return cls(names, layers, directions)

    def with_random(self, seed: int) -> "ScreenedTraits":
        """The same with random directions behind them, of every layer that is read."""
        first = dict(zip(self.layers, self.directions, strict=True))
        drawn = [
            (layer, replace(item, name=f"control {index}"))  # no trait is called so
            for layer, like in first.items()
            for index, item in enumerate(random_directions(like, seed=seed))
        ]
        return ScreenedTraits(
            (*self.names, *(f"{item.name} of {layer}" for layer, item in drawn)),
            (*self.layers, *(layer for layer, _ in drawn)),
            (*self.directions, *(item for _, item in drawn)),
        )

    @cached_property
    def features(self) -> FeatureSet:
        """The directions as what is read together, in this order."""
        return FeatureSet(self.directions)

    def build_reads(self, where: Where) -> dict[str, Read]:
        """The projections of every token of `where`; `features.assemble` makes `[tokens, traits]` of them."""
        return self.features.build_reads(where, FIRST)


def layer_of(vectors: PersonaVectors, layers: int | Mapping[str, int] | None) -> int:
    """The layer asked for, or by default the layer nearest to 0.55 of the depth."""
    if isinstance(layers, Mapping):
        layers = layers.get(vectors.trait)
    if layers is not None:
        return layers
    return min(vectors.layers, key=lambda layer: (abs(layer - default_layer(vectors.n_layers)), layer))

"""A replacement's features in the model itself: where each layer's are read and written."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.dictionaries import DictionaryBank
from mindscope.models import MLPMaps, Model, split_address


@runtime_checkable
class FeatureIO(Protocol):
    """How to tell what features do in any forward pass, and what to add when they are to do otherwise.

    Attributes:
        reads: per layer the addresses whose activations tell its features, which lie side by side in `x`.
        writes: per layer the address of the MLP output that features add to.
        sizes: per layer how many features it has.
    """

    reads: tuple[tuple[str, ...], ...]
    writes: tuple[str, ...]
    sizes: tuple[int, ...]

    def activations(
        self, layer: int, x: Float[Tensor, "tokens d_in"], latents: Int[Tensor, "k"]
    ) -> tuple[Float[Tensor, "tokens k"], Float[Tensor, "tokens k"]]:
        """Pre-activations and activations of some features of a layer."""
        ...

    def decoders(self, layer: int, latents: Int[Tensor, "k"]) -> dict[int, Float[Tensor, "k d_out"]]:
        """What a unit of activation adds, by the layer it is added to."""
        ...

    def skip(self, layer: int) -> dict[int, Float[Tensor, "d_in d_out"]]:
        """The linear path beside a layer's features, by the layer it is added to."""
        ...


@runtime_checkable
class FeatureSource(Protocol):
    """Features that can be changed in a model's passes, layer by layer."""

    def digest(self) -> str:
        """A short name for exactly these features; `neurons` for the model's own."""
        ...

    def access(self, model: Model) -> FeatureIO:
        """How the features are read and written in the model itself.

        Raises:
            DataError: the dictionary does not fit the model.
        """
        ...


def concat_reads(feature_io: FeatureIO, layer: int, seen: Mapping[str, Tensor]) -> Tensor:
    """What tells the features of a layer, out of activations by address, side by side."""
    parts = [seen[address].float() for address in feature_io.reads[layer]]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


class DictionaryAccess:
    """Of transcoders or a CLT.

    Args:
        bank: the dictionary's latents, bound to the model.
        order: the coder of each layer.
    """

    def __init__(self, bank: DictionaryBank, order: Sequence[int]):
        self._bank, self._order = bank, tuple(order)
        dictionary = bank.dictionary
        wirings = [dictionary.wiring[index] for index in order]
        self.reads = tuple((dictionary.reads[wiring.reads[0]].address,) for wiring in wirings)
        self._layer_of = [split_address(site.address)[1] or 0 for site in dictionary.writes]
        by_layer = dict(zip(self._layer_of, dictionary.writes, strict=True))
        self.writes = tuple(by_layer[layer].address for layer in range(len(by_layer)))
        self.sizes = tuple(wiring.n_latents for wiring in wirings)

    def activations(
        self, layer: int, x: Float[Tensor, "tokens d_in"], latents: Int[Tensor, "k"]
    ) -> tuple[Float[Tensor, "tokens k"], Float[Tensor, "tokens k"]]:
        """See `FeatureIO.activations`."""
        return self._bank.coder_values(self._order[layer], x, latents)

    def decoders(self, layer: int, latents: Int[Tensor, "k"]) -> dict[int, Float[Tensor, "k d_out"]]:
        """See `FeatureIO.decoders`."""
        return self._by_layer(layer, self._bank.coder_decoders(self._order[layer], latents))

    def skip(self, layer: int) -> dict[int, Float[Tensor, "d_in d_out"]]:
        """See `FeatureIO.skip`."""
        weight = self._bank.dictionary.coders[self._order[layer]].W_skip
        return {} if weight is None else self._by_layer(layer, weight.float())

    def _by_layer(self, layer: int, rows: Tensor) -> dict[int, Tensor]:
        """Rows over all that a layer's coder writes, taken apart by the layer written."""
        dictionary = self._bank.dictionary
        written = dictionary.wiring[self._order[layer]].writes
        parts = rows.split([dictionary.writes[site].width for site in written], dim=1)
        return {self._layer_of[site]: part for site, part in zip(written, parts, strict=True)}


class NeuronAccess:
    """Of the MLPs' own neurons. A gated one has no pre-activation but its activation.

    Raises:
        ModelError: an MLP without neurons of its own, such as a mixture of experts.
    """

    def __init__(self, model: Model, maps: Sequence[MLPMaps]):
        self._down = [mlp.down.weight.T for mlp in maps]
        self.reads = tuple(
            (f"mlp_pre.{layer}", f"mlp_act.{layer}") if mlp.linear is None else (f"mlp_act.{layer}",)
            for layer, mlp in enumerate(maps)
        )
        self.writes = tuple(f"mlp_out.{layer}" for layer in range(model.n_layers))
        self.sizes = tuple(len(rows) for rows in self._down)

    def activations(
        self, layer: int, x: Float[Tensor, "tokens d_in"], latents: Int[Tensor, "k"]
    ) -> tuple[Float[Tensor, "tokens k"], Float[Tensor, "tokens k"]]:
        """See `FeatureIO.activations`."""
        latents = latents.to(x.device)
        return x[:, latents], x[:, x.shape[1] - self.sizes[layer] + latents]

    def decoders(self, layer: int, latents: Int[Tensor, "k"]) -> dict[int, Float[Tensor, "k d_out"]]:
        """See `FeatureIO.decoders`."""
        return {layer: self._down[layer][latents.to(self._down[layer].device)]}

    def skip(self, layer: int) -> dict[int, Float[Tensor, "d_in d_out"]]:
        """Neurons are all there is."""
        return {}

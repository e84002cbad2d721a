"""A replacement's features in the model itself: where each layer's are read and written."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.dictionaries import Dictionary
from mindscope.models import MLPMaps, Model


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


def concat_reads(feature_io: FeatureIO, layer: int, seen: Mapping[str, Tensor]) -> Tensor:
    """What tells the features of a layer, out of activations by address, side by side."""
    parts = [seen[address].float() for address in feature_io.reads[layer]]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


class DictionaryAccess:
    """Of transcoders or a CLT.

    Args:
        dictionary: bound to the model.
        order: the coder of each layer.
    """

    def __init__(self, dictionary: Dictionary, order: Sequence[int]):
        self._dictionary, self._order = dictionary, tuple(order)
        wirings = [dictionary.wiring[index] for index in order]
        self.reads = tuple((dictionary.reads[wiring.reads[0]].address,) for wiring in wirings)
        self._layer_of = [int(site.address.rpartition(".")[2]) for site in dictionary.writes]
        by_layer = dict(zip(self._layer_of, dictionary.writes, strict=True))
        self.writes = tuple(by_layer[layer].address for layer in range(len(by_layer)))
        self.sizes = tuple(wiring.n_latents for wiring in wirings)
        self._kept: dict[int, tuple[Tensor, tuple[Tensor, Tensor, Tensor]]] = {}

    def activations(
        self, layer: int, x: Float[Tensor, "tokens d_in"], latents: Int[Tensor, "k"]
    ) -> tuple[Float[Tensor, "tokens k"], Float[Tensor, "tokens k"]]:
        """See `FeatureIO.activations`."""
        if self._dictionary.activation == "topk":  # all of a token's features compete
            coder = self._dictionary.coders[self._order[layer]].to(x.device, torch.float32)
            all_of_them = coder.preactivations(x)
            code = coder.activate(all_of_them, "topk", self._dictionary.k)
            latents = latents.to(x.device)
            return all_of_them[:, latents], code.dense()[:, latents]
        weight, bias, floor = (each.to(x.device) for each in self._encoders(layer, latents.cpu()))
        found = x @ weight.T + bias
        return found, found * (found > floor)

    def _encoders(self, layer: int, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encoder rows, biases and thresholds. Kept, because a pass asks for the same as the one before."""
        kept = self._kept.get(layer)
        if kept is None or not torch.equal(kept[0], latents):
            coder = self._dictionary.coders[self._order[layer]]
            floor = None if self._dictionary.activation == "relu" else coder.threshold
            floor = torch.zeros_like(coder.b_enc) if floor is None else floor
            at = latents.to(coder.W_enc.device)
            rows = coder.W_enc[at].float(), coder.b_enc[at].float(), floor[at].float()
            kept = self._kept[layer] = (latents, rows)
        return kept[1]

    def decoders(self, layer: int, latents: Int[Tensor, "k"]) -> dict[int, Float[Tensor, "k d_out"]]:
        """See `FeatureIO.decoders`."""
        rows = self._dictionary.coders[self._order[layer]].W_dec
        return self._by_layer(layer, rows[latents.to(rows.device)].float())

    def skip(self, layer: int) -> dict[int, Float[Tensor, "d_in d_out"]]:
        """See `FeatureIO.skip`."""
        weight = self._dictionary.coders[self._order[layer]].W_skip
        return {} if weight is None else self._by_layer(layer, weight.float())

    def _by_layer(self, layer: int, rows: Tensor) -> dict[int, Tensor]:
        written = self._dictionary.wiring[self._order[layer]].writes
        parts = rows.split([self._dictionary.writes[at].width for at in written], dim=1)
        return {self._layer_of[at]: part for at, part in zip(written, parts, strict=True)}


class NeuronAccess:
    """Of the MLPs' own neurons. A gated one has no pre-activation but its activation.

    Raises:
        ModelError: an MLP without neurons of its own, such as a mixture of experts.
    """

    def __init__(self, model: Model, maps: Sequence[MLPMaps]):
        self._down = [one.down.weight.T for one in maps]
        self.reads = tuple(
            (f"mlp_pre.{layer}", f"mlp_act.{layer}") if one.linear is None else (f"mlp_act.{layer}",)
            for layer, one in enumerate(maps)
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

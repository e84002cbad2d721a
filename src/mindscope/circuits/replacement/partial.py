"""MLPs replaced by the transcoders of some layers, and by their own neurons in the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float, Int
from torch import Tensor

from mindscope.circuits.replacement.build import LayerDecoders, ReplacementCoders, build_local_model
from mindscope.circuits.replacement.dictionary import (
    DictionaryReplacement,
    decoder_biases,
    layer_of,
    require_mlp_sites,
)
from mindscope.circuits.replacement.feature_io import NeuronAccess
from mindscope.circuits.replacement.layer_features import LayerFeatures
from mindscope.circuits.replacement.local_model import LocalReplacementModel
from mindscope.circuits.replacement.neurons import NeuronReplacement
from mindscope.dictionaries import Dictionary, DictionaryBank
from mindscope.errors import DataError
from mindscope.models import Edit, FrozenPass, Model, Row


@dataclass(frozen=True, eq=False)
class PartialReplacement:
    """Transcoders where a dictionary has them, neurons in every other layer.

    So a graph needs no transcoder of all layers: the error of a layer without one is nothing but rounding, as
    with `NeuronReplacement`, and its nodes are neurons, of which there are many.
    """

    dictionary: Dictionary
    model: Model

    def digest(self) -> str:
        """See `ReplacementModel.digest`."""
        return f"{self._coded.digest()}+{self._neurons.digest()}"

    def access(self, model: Model) -> "PartialAccess":
        """See `ReplacementModel.access`."""
        neurons = self._neurons.access(model)
        dictionary = self.dictionary.bind(model)
        return PartialAccess(dictionary, match_some_layers(dictionary, model), neurons)

    def freeze(
        self, model: Model, row: Row, *, skip_tokens: int | None = None, edits: Sequence[Edit] = ()
    ) -> LocalReplacementModel:
        """See `ReplacementModel.freeze`."""
        self._neurons.access(model)  # says what a model without neurons cannot have
        coder_of = match_some_layers(self.dictionary, model)
        dictionary = self.dictionary.bind(model)
        reads, writes = require_mlp_sites(dictionary)
        biases = decoder_biases(dictionary, writes)
        by_layer = {layer_of(address): address for address in writes}
        layers = range(model.n_layers)

        def encode(layer: int, frozen_pass: FrozenPass) -> tuple[LayerFeatures, LayerDecoders]:
            if layer in coder_of:
                return self._coded.encode(dictionary, coder_of[layer], frozen_pass)
            return self._neurons.encode(layer, frozen_pass)

        def decoder_bias(layer: int) -> Tensor:
            if layer in coder_of:
                return biases[by_layer[layer]]
            return self._neurons.decoder_bias(layer)

        read_of = {layer: reads[dictionary.wiring[index].reads[0]] for layer, index in coder_of.items()}
        coders = ReplacementCoders(
            reads=[read_of.get(layer, f"mlp_in.{layer}") for layer in layers],
            writes=[by_layer.get(layer, f"mlp_out.{layer}") for layer in layers],
            encode=encode,
            decoder_bias=decoder_bias,
            extra_reads=self._neurons.list_reads(layer for layer in layers if layer not in coder_of),
        )
        return build_local_model(model, row, coders, skip_tokens=skip_tokens, edits=edits)

    @cached_property
    def _coded(self) -> DictionaryReplacement:
        return DictionaryReplacement(self.dictionary)

    @cached_property
    def _neurons(self) -> NeuronReplacement:
        return NeuronReplacement(self.model)


class PartialAccess:
    """Of transcoders in some layers and neurons in the others; see `FeatureIO`."""

    def __init__(self, dictionary: Dictionary, coder_of: dict[int, int], neurons: NeuronAccess):
        self._bank, self._coder_of, self._neurons = DictionaryBank(dictionary), coder_of, neurons
        read_of = {
            layer: (dictionary.reads[dictionary.wiring[index].reads[0]].address,)
            for layer, index in coder_of.items()
        }
        write_of = {layer_of(site.address): site.address for site in dictionary.writes}
        size_of = {layer: dictionary.wiring[index].n_latents for layer, index in coder_of.items()}
        self.reads = tuple(read_of.get(layer, own) for layer, own in enumerate(neurons.reads))
        self.writes = tuple(write_of.get(layer, own) for layer, own in enumerate(neurons.writes))
        self.sizes = tuple(size_of.get(layer, own) for layer, own in enumerate(neurons.sizes))

    def activations(
        self, layer: int, x: Float[Tensor, "tokens d_in"], latents: Int[Tensor, "k"]
    ) -> tuple[Float[Tensor, "tokens k"], Float[Tensor, "tokens k"]]:
        """See `FeatureIO.activations`."""
        if layer in self._coder_of:
            return self._bank.coder_values(self._coder_of[layer], x, latents)
        return self._neurons.activations(layer, x, latents)

    def decoders(self, layer: int, latents: Int[Tensor, "k"]) -> dict[int, Float[Tensor, "k d_out"]]:
        """See `FeatureIO.decoders`."""
        if layer in self._coder_of:
            return {layer: self._bank.coder_decoders(self._coder_of[layer], latents)}
        return self._neurons.decoders(layer, latents)

    def skip(self, layer: int) -> dict[int, Float[Tensor, "d_in d_out"]]:
        """See `FeatureIO.skip`."""
        if layer not in self._coder_of:
            return self._neurons.skip(layer)
        weight = self._bank.dictionary.coders[self._coder_of[layer]].W_skip
        return {} if weight is None else {layer: weight.float()}


def match_some_layers(dictionary: Dictionary, model: Model) -> dict[int, int]:
    """By layer the coder of those that have one; DataError if they do not fit the model."""
    reads, writes = require_mlp_sites(dictionary)
    coder_of: dict[int, int] = {}
    for index, wiring in enumerate(dictionary.wiring):
        places = (
            [layer_of(reads[site]) for site in wiring.reads],
            [layer_of(writes[site]) for site in wiring.writes],
        )
        if len(wiring.reads) != 1 or places[0] != places[1]:
            raise DataError(
                "neurons stand in beside transcoders of single layers; this dictionary has a coder that "
                f"reads {places[0]} and writes {places[1]}"
            )
        (layer,) = places[0]
        if layer in coder_of or layer >= model.n_layers:
            raise DataError(
                f"this dictionary has two coders of layer {layer}"
                if layer in coder_of
                else f"this dictionary has layer {layer}, {model.name} has {model.n_layers}"
            )
        coder_of[layer] = index
    return coder_of

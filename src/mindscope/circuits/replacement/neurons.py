"""MLPs in their own neurons, so that any model has graphs without a dictionary."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from mindscope.circuits.replacement.build import LayerDecoders, ReplacementCoders, build_local_model
from mindscope.circuits.replacement.feature_io import NeuronAccess
from mindscope.circuits.replacement.layer_features import LayerFeatures
from mindscope.circuits.replacement.local_model import LocalReplacementModel
from mindscope.errors import ModelError
from mindscope.models import Edit, FrozenPass, MLPMaps, Model, Row, mlp_maps


@dataclass(frozen=True, eq=False)
class NeuronReplacement:
    """The neurons of a model as features; nothing is replaced, so errors are zero but for rounding.

    A plain neuron a = act(p) has its input weights as encoder; p is what is explained. A gated neuron
    a = act(g) u is a product of two readings of the stream. act(g) / g is held for the token, and g and u get
    half of the credit each: the encoder is (act(g) / g * u * W_gate + act(g) * W_up) / 2, whose product with
    the input is a itself (the half rule for products: Jafari et al. 2024, "MambaLRP").
    """

    model: Model

    def digest(self) -> str:
        """See `ReplacementModel.digest`."""
        return "neurons"

    def access(self, model: Model) -> NeuronAccess:
        """See `ReplacementModel.access`."""
        self._require(model)
        return NeuronAccess(model, self._maps)

    def freeze(
        self, model: Model, row: Row, *, skip_tokens: int | None = None, edits: Sequence[Edit] = ()
    ) -> LocalReplacementModel:
        """See `ReplacementModel.freeze`."""
        self._require(model)
        layers = range(model.n_layers)
        coders = ReplacementCoders(
            reads=[f"mlp_in.{layer}" for layer in layers],
            writes=[f"mlp_out.{layer}" for layer in layers],
            encode=self.encode,
            decoder_bias=self.decoder_bias,
            extra_reads=self.list_reads(layers),
        )
        return build_local_model(model, row, coders, skip_tokens=skip_tokens, edits=edits)

    def encode(self, layer: int, frozen_pass: FrozenPass) -> tuple[LayerFeatures, LayerDecoders]:
        """The neurons of a layer in a pass that has `list_reads`."""
        return _encode_neurons(layer, frozen_pass, self._maps[layer])

    def decoder_bias(self, layer: int) -> Tensor:
        """What a layer's MLP adds when all of its neurons are at zero."""
        return self._maps[layer].down.bias

    def list_reads(self, layers: Iterable[int]) -> list[str]:
        """What `encode` reads of these layers."""
        names = {layer: ["mlp_pre", "mlp_act"] for layer in layers}
        for layer in names:
            if self._maps[layer].linear is not None:
                names[layer].append("mlp_pre_linear")
        return [f"{name}.{layer}" for layer in names for name in names[layer]]

    @cached_property
    def _maps(self) -> tuple[MLPMaps, ...]:
        return mlp_maps(self.model)

    def _require(self, model: Model) -> None:
        if model is not self.model:
            raise ModelError(
                f"these are the neurons of {self.model.name}, not of {model.name}: build its own "
                "NeuronReplacement"
            )


def _encode_neurons(
    layer: int, frozen_pass: FrozenPass, maps: MLPMaps
) -> tuple[LayerFeatures, LayerDecoders]:
    """The neurons of a layer that are not at zero, as features."""
    acts, pre = frozen_pass.activations[f"mlp_act.{layer}"], frozen_pass.activations[f"mlp_pre.{layer}"]
    position, latent = (acts != 0).nonzero(as_tuple=True)
    activation, gate = acts[position, latent], pre[position, latent]
    rows = maps.down.weight.T.contiguous()
    if maps.linear is None:

        def gather_plain(entries: Tensor) -> tuple[Tensor, Tensor]:
            return maps.pre.weight[latent[entries]], maps.pre.bias[latent[entries]]

        return LayerFeatures(position, latent, activation, gate, gather_plain), {layer: (rows, latent)}
    linear = maps.linear
    # a = act(g) u: half of a is explained through g, half through u, the other factor held.
    by_gate = activation / gate / 2
    by_linear = activation / frozen_pass.activations[f"mlp_pre_linear.{layer}"][position, latent] / 2
    if not bool(by_gate.isfinite().all() & by_linear.isfinite().all()):
        raise ModelError(f"layer {layer} has a neuron that is on while its gate is 0: it cannot be traced")

    def gather_gated(entries: Tensor) -> tuple[Tensor, Tensor]:
        neuron, gates, linears = latent[entries], by_gate[entries], by_linear[entries]
        weight = gates[:, None] * maps.pre.weight[neuron] + linears[:, None] * linear.weight[neuron]
        return weight, gates * maps.pre.bias[neuron] + linears * linear.bias[neuron]

    return LayerFeatures(position, latent, activation, activation, gather_gated), {layer: (rows, latent)}

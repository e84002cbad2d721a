"""The local replacement model of one prompt: linear, sparse, and equal to the model it stands for.

Ameisen et al. 2025, "Circuit Tracing", section "Building a local replacement model". One walk up the stream:

1. The residual stream begins as the token embeddings, [tokens, d_model].
2. Each block adds attention through the pattern that it had on this prompt, with norms' scales held: a linear
   map of the stream (the OV path of each head), and a bias.
3. Where its MLP was, constants are added: active features times their decoders, an error for each token,
   and biases. A dictionary's skip adds a linear path from the MLP's input to its output, in this or a later
   layer.
4. The errors are what the dictionary misses, so that the stream is the model's own at every point.

Everything between two writes is linear, so that an edge is a plain product: the gradient of what the target
reads, carried down to where the source writes, times what is written there (`attribution/backward.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from mindscope.circuits.index_spaces import ColumnIndex, FeatureIndex, StreamPoint, mlp_input_numbers
from mindscope.circuits.replacement.block import FrozenBlock, FrozenNorm
from mindscope.circuits.replacement.feature_io import FeatureSource
from mindscope.circuits.replacement.injections import Injections, before_norm
from mindscope.circuits.replacement.layer_features import FeatureWrites, LayerFeatures
from mindscope.models import Edit, FrozenPass, Model, Row


@dataclass(frozen=True, eq=False)
class LocalReplacementModel:
    """The local replacement model of one prompt.

    At the first `skip_tokens` positions nothing is a node: what the MLPs gave there is a bias.

    Attributes:
        frozen_pass: the model's own pass.
        blocks: attention and norms of each layer.
        read_norms: per layer, the way from the stream to what its features read.
        write_norms: per layer, the way from what is written at its MLP's output into the stream.
        layer_features: per layer, the features that read there.
        features: `[features, 3]`: layer, position, latent (within its layer); sorted.
        activations, preactivations: `[features]`.
        column_of: `[features]`, each feature's column: its rank by (position, layer, latent).
        feature_writes: per layer, what features write there.
        errors: `[layers, tokens, d_model]`, the model's MLP output less the replacement's, in the stream.
        biases: `[layers, tokens, d_model]`, what is written and not a node.
        embeddings: `[tokens, d_model]`.
        final_norm: the way from the stream to the unembedding.
        skip_tokens: at how many first positions nothing is a node.
        parallel: whether attention and MLP of a block read the same stream.
    """

    frozen_pass: FrozenPass
    blocks: tuple[FrozenBlock, ...]
    read_norms: tuple[FrozenNorm, ...]
    write_norms: tuple[FrozenNorm, ...]
    layer_features: tuple[LayerFeatures, ...]
    features: Int[Tensor, "features 3"]
    activations: Float[Tensor, "features"]
    preactivations: Float[Tensor, "features"]
    column_of: ColumnIndex
    feature_writes: tuple[FeatureWrites, ...]
    errors: Float[Tensor, "layers tokens d_model"]
    biases: Float[Tensor, "layers tokens d_model"]
    embeddings: Float[Tensor, "tokens d_model"]
    final_norm: FrozenNorm
    skip_tokens: int
    parallel: bool

    @property
    def n_layers(self) -> int:
        return len(self.blocks)

    @property
    def n_positions(self) -> int:
        return len(self.embeddings)

    @property
    def n_features(self) -> int:
        return len(self.features)

    def inject_features(self, features: FeatureIndex) -> Injections:
        """The encoders of features, as gradients of their pre-activations in the stream."""
        layer, position, _ = self.features[features].unbind(1)
        vector = self.embeddings.new_zeros(len(features), self.embeddings.shape[1])
        bias = vector.new_zeros(len(features))
        starts = self._first_feature_of_layer()
        for index in layer.unique().tolist():
            rows = (layer == index).nonzero().flatten()
            # A layer's features are numbered on their own inside LayerFeatures.
            encoder, offset = self.layer_features[index].gather_encoders(features[rows] - starts[index])
            vector[rows], bias[rows] = before_norm(self.read_norms[index], position[rows], encoder, offset)
        return Injections(mlp_input_numbers(layer, parallel=self.parallel), position, vector, bias)

    def forward(self) -> Float[Tensor, "tokens d_model"]:
        """The residual stream behind the last block, through the replacement."""
        *_, (_, stream) = self.walk_stream(self._write)
        return stream

    def read_values(self, injections: Injections) -> Float[Tensor, "rows"]:
        """What rows read in the stream of the replacement, without any attribution."""
        values = injections.bias.clone()
        for point, stream in self.walk_stream(self._write):
            rows = (injections.point == point.number).nonzero().flatten()
            values[rows] += (injections.vector[rows] * stream[injections.position[rows]]).sum(1)
        return values

    def walk_stream(
        self, write: Callable[[StreamPoint], Tensor | float]
    ) -> Iterator[tuple[StreamPoint, Tensor]]:
        """What becomes of vectors on their way up, at every point of the stream.

        Args:
            write: gives what enters the stream right before a point, `[*rows, tokens, d_model]`, tokens being
                the first ones of the prompt; at `StreamPoint(0)` the stream begins with it.
        """
        x = write(StreamPoint(0))
        assert isinstance(x, Tensor)
        n_tokens = x.shape[-2]
        # What skips carry to later layers, by the layer at whose MLP output it arrives.
        skipped: dict[int, Tensor] = {}
        for layer, block in enumerate(self.blocks):
            before, middle, behind = StreamPoint(layer), StreamPoint(layer, True), StreamPoint(layer + 1)
            yield before, x
            mid = x + block.attend(x) + write(middle)
            yield middle, mid
            read_norm, write_norm = self.read_norms[layer], self.write_norms[layer]
            # In a parallel block attention and MLP read the same stream.
            mlp_input = read_norm.linear(x if self.parallel else mid) * read_norm.scale[:n_tokens, None]
            for target, skip in self.layer_features[layer].skips.items():
                skipped[target] = mlp_input @ skip + skipped.get(target, 0.0)
            # The MLP's output: constants that write here, and what skips bring from this layer and earlier
            # ones.
            x = mid + write(behind)
            if layer in skipped:
                x = x + write_norm.linear(skipped.pop(layer)) * write_norm.scale[:n_tokens, None]
        yield StreamPoint(self.n_layers), x

    def _write(self, point: StreamPoint) -> Tensor | float:
        """Everything that the replacement writes right before a point."""
        if point == StreamPoint(0):
            return self.embeddings
        if point.after_attention:
            return self.blocks[point.layer].bias
        written = point.layer - 1  # a point before a block lies behind the MLP of the one below
        return self.feature_writes[written].sum_by_position() + self.errors[written] + self.biases[written]

    def _first_feature_of_layer(self) -> list[int]:
        starts = [0]
        for features in self.layer_features:
            starts.append(starts[-1] + len(features.position))
        return starts


@runtime_checkable
class ReplacementModel(FeatureSource, Protocol):
    """What replaces the MLPs: a dictionary (transcoders, CLT), or their own neurons."""

    def freeze(
        self, model: Model, row: Row, *, skip_tokens: int | None = None, edits: Sequence[Edit] = ()
    ) -> LocalReplacementModel:
        """The local replacement model of one prompt.

        Args:
            model: the model, in float32.
            row: the prompt.
            skip_tokens: at how many first positions features and errors are not nodes; None finds out
                (`first_tokens`).
            edits: of the residual stream behind blocks (`resid_post.LAYER`), under which the pass is made;
                what they add is held as it was, and counts as bias.

        Raises:
            ModelError: the row is too long, the model is not in float32 or of an unsuited architecture.
            DataError: the dictionary does not fit the model.
        """
        ...

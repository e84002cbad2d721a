"""The local replacement model of one prompt: linear, sparse, and equal to the model it stands for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.circuits.replacement.block import FrozenBlock, FrozenNorm
from mindscope.circuits.replacement.feature_io import FeatureIO
from mindscope.models import FrozenPass, Model, Row


@dataclass(frozen=True, slots=True, eq=False)
class LayerFeatures:
    """The active features of one layer, and their weights: what a replacement makes of a prompt.

    Attributes:
        position: `[active]` ascending; `latent` ascending within a position.
        activation: `[active]`.
        preactivation: `[active]`, linear in what is read: encoder . read + bias.
        encoders: given entries `[k]`, their encoders `[k, width read]` and biases `[k]`.
        decoders: by the layer written, decoder rows `[n, width]` at the place written, and each entry's row
            `[active]`.
        skips: by the layer written, the linear path `[width read, width written]` beside the features.
    """

    position: Int[Tensor, "active"]
    latent: Int[Tensor, "active"]
    activation: Float[Tensor, "active"]
    preactivation: Float[Tensor, "active"]
    gather_encoders: Callable[[Tensor], tuple[Tensor, Tensor]]
    decoders: dict[int, tuple[Tensor, Tensor]]
    skips: dict[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Injections:
    """Where rows of a graph begin: gradients in the residual stream at one position each.

    Attributes:
        join: 2 * layer for a vector in the stream before that block, + 1 between its attention and its MLP.
        position: `[rows]`.
        vector: `[rows, d_model]`.
        bias: `[rows]`, what is added to vector . stream.
    """

    point: Int[Tensor, "rows"]
    position: Int[Tensor, "rows"]
    vector: Float[Tensor, "rows d_model"]
    bias: Float[Tensor, "rows"]

    def __len__(self) -> int:
        return len(self.point)

    def __getitem__(self, which: Tensor | slice) -> "Injections":
        return Injections(self.point[which], self.position[which], self.vector[which], self.bias[which])

    @classmethod
    def concatenate(cls, parts: "Sequence[Injections]") -> "Injections":
        return cls(*(torch.cat([getattr(one, name) for one in parts]) for name in cls.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class FeatureWrites:
    """Everything that features write at one layer, as vectors in the residual stream, by position.

    Attributes:
        columns: `[entries]`, the column of each entry; see `LocalReplacementModel.column`.
        starts: `[tokens + 1]`, the entries of position q are starts[q] to starts[q + 1].
        gain: `[entries]`, activation times what the way into the stream scales by.
        rows: decoder rows in the stream.
        row: `[entries]`, each entry's row; None where rows are one an entry, with their gain in them.
    """

    columns: Int[Tensor, "entries"]
    starts: tuple[int, ...]
    gain: Float[Tensor, "entries"]
    decoder_rows: Float[Tensor, "n d_model"]
    decoder_row_of: Int[Tensor, "entries"] | None

    def vectors_at(self, position: int) -> Float[Tensor, "here d_model"]:
        """What is written at a position, a row each."""
        here = slice(self.starts[position], self.starts[position + 1])
        if self.decoder_row_of is None:
            return self.decoder_rows[here]
        return self.decoder_rows[self.decoder_row_of[here]] * self.gain[here, None]

    def columns_at(self, position: int) -> slice | Tensor:
        """The columns of these rows: a slice where they lie side by side."""
        here = self.columns[self.starts[position] : self.starts[position + 1]]
        first, last = int(here[0]), int(here[-1]) + 1
        return slice(first, last) if last - first == len(here) else here

    def vectors_of(
        self, columns: Int[Tensor, "k"]
    ) -> tuple[Int[Tensor, "found"], Float[Tensor, "found d_model"]]:
        """What some columns write here: which of them write at all, and their vectors."""
        at = torch.searchsorted(self.columns, columns).clamp(max=max(0, len(self.columns) - 1))
        found = (self.columns[at] == columns).nonzero().flatten() if len(self.columns) else at[:0]
        at = at[found]
        return found, self.decoder_rows[at] if self.decoder_row_of is None else self.decoder_rows[
            self.decoder_row_of[at]
        ] * self.gain[at, None]

    def sum_by_position(self) -> Float[Tensor, "tokens d_model"]:
        """The sum of what is written, by position."""
        return torch.stack([self.vectors_at(q).sum(0) for q in range(len(self.starts) - 1)])


@dataclass(frozen=True, eq=False)
class LocalReplacementModel:
    """The local replacement model of one prompt (Ameisen et al. 2025, "Circuit Tracing", section 2.4).

    The stream starts as the token embeddings (with what a family adds or multiplies there, learned positions
    included); each block adds attention through its frozen pattern, and in place of its MLP active features
    times decoders, a skip, biases and an error, with which the stream is the model's own. At the first
    `skip_tokens` positions nothing is a node: what the MLPs gave there is a bias.

    Attributes:
        held: the model's pass.
        features: `[features, 3]`: layer, position, latent (within its layer); sorted.
        activations, preactivations: `[features]`.
        column: `[features]`, the feature's rank by (position, layer, latent), so that what a causal row can
            reach is a prefix.
        errors: `[layers, tokens, d_model]`, the model's MLP output less the replacement's, in the stream.
        biases: `[layers, tokens, d_model]`, what is written and no node.
        embeddings: `[tokens, d_model]`.
        final: the final norm.
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
    column_of: Int[Tensor, "features"]
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

    def inject_features(self, which: Int[Tensor, "k"]) -> Injections:
        """Encoders of features, as gradients of their pre-activations in the stream.

        Args:
            which: indices of `features`.
        """
        layer, position, _ = self.features[which].unbind(1)
        vector = self.embeddings.new_zeros(len(which), self.embeddings.shape[1])
        bias = vector.new_zeros(len(which))
        for at in layer.unique().tolist():
            mine = (layer == at).nonzero().flatten()
            encoder, own = self.layer_features[at].gather_encoders(which[mine] - self._starts[at])
            vector[mine], bias[mine] = self.seen(at, position[mine], encoder, own)
        return Injections(2 * layer + (not self.parallel), position, vector, bias)

    def seen(self, layer: int, position: Tensor, encoder: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors that read the MLP's input, as vectors and biases that read the stream."""
        return before_norm(self.read_norms[layer], position, encoder, bias)

    def forward(self) -> Float[Tensor, "tokens d_model"]:
        """The residual stream behind the last block, through the replacement."""
        *_, (_, x) = self.walk_stream(self._entering)
        return x

    def read_values(self, injections: Injections) -> Float[Tensor, "rows"]:
        """What rows read in the stream of the replacement, without any attribution."""
        found = injections.bias.clone()
        for join, x in self.walk_stream(self._entering):
            rows = (injections.point == join).nonzero().flatten()
            found[rows] += (injections.vector[rows] * x[injections.position[rows]]).sum(1)
        return found

    def walk_stream(self, entering: Callable[[int], Tensor | float]) -> Iterator[tuple[int, Tensor]]:
        """What becomes of vectors on their way up, at each point where rows join (see `Injections.join`).

        Args:
            entering: gives what enters the stream at a point, `[*rows, tokens, d_model]`, tokens being the
                first ones of the prompt; at 0 it begins.
        """
        x = entering(0)
        assert isinstance(x, Tensor)
        tokens = x.shape[-2]
        waiting: dict[int, Tensor] = {}
        for layer, block in enumerate(self.blocks):
            yield 2 * layer, x
            mid = x + block.attend(x) + entering(2 * layer + 1)
            yield 2 * layer + 1, mid
            read, write = self.read_norms[layer], self.write_norms[layer]
            seen = read.linear(x if self.parallel else mid) * read.scale[:tokens, None]
            for target, skip in self.layer_features[layer].skips.items():
                waiting[target] = seen @ skip + waiting.get(target, 0.0)
            x = mid + entering(2 * layer + 2)
            if layer in waiting:
                x = x + write.linear(waiting.pop(layer)) * write.scale[:tokens, None]
        yield 2 * self.n_layers, x

    def _entering(self, join: int) -> Tensor | float:
        """Everything that enters the stream of the replacement."""
        if join == 0:
            return self.embeddings
        layer = (join - 1) // 2
        if join % 2:
            return self.blocks[layer].bias
        return self.feature_writes[layer].sum_by_position() + self.errors[layer] + self.biases[layer]

    @property
    def _starts(self) -> list[int]:
        starts = [0]
        for code in self.layer_features:
            starts.append(starts[-1] + len(code.position))
        return starts


@runtime_checkable
class ReplacementModel(Protocol):
    """What stands in for the MLPs: a dictionary (transcoders, CLT), or their own neurons."""

    @property
    def digest(self) -> str:
        """A short name for exactly this replacement; `neurons` for the model's own."""
        ...

    def access(self, model: Model) -> FeatureIO:
        """How the features are read and written in the model itself.

        Raises:
            DataError: the dictionary does not fit the model.
        """
        ...

    def freeze(self, model: Model, row: Row, *, skip_tokens: int = 1) -> LocalReplacementModel:
        """The local replacement model of one prompt.

        Args:
            model: the model, in float32.
            row: the prompt.
            skip_tokens: at how many first positions (where the beginning-of-text token soaks up attention)
                features and errors are no nodes.

        Raises:
            ModelError: the row is too long, the model is no float32 model or of an unsuited architecture.
            DataError: the dictionary does not fit the model.
        """
        ...


def before_norm(passage: FrozenNorm, position: Tensor, vector: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors that read behind a norm, one position each, as vectors and biases that read before it."""
    shift = 0.0 if isinstance(passage.bias, float) else vector @ passage.bias
    return passage.transposed(vector) * passage.scale[position, None], bias + shift

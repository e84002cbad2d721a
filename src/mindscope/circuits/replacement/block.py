"""A block of one prompt with everything held but its MLP: attention, and the ways in and out of the MLP.

With the attention pattern and norms' scales held, attention is a linear map of the stream: values are read,
mixed over tokens by the pattern, and written by the output map (Elhage et al. 2021, "A Mathematical Framework
for Transformer Circuits"). Its transpose carries gradients down. Value and output maps are kept apart: their
product, d_model x d_model for each head, would cost more than its factors.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.models import AttentionMaps, FrozenPass, LinearNorm, LinearParts


@dataclass(frozen=True, slots=True, eq=False)
class FrozenNorm:
    """A norm whose scales are held, or nothing: y = scale * norm.linear(x) + bias for each token."""

    norm: LinearNorm | None
    scale: Float[Tensor, "tokens"]

    @classmethod
    def of(
        cls, anatomy: LinearParts, held: FrozenPass, address: str, multiplier: float = 1.0
    ) -> "FrozenNorm":
        """The norm that makes what is at an address, followed by a constant factor."""
        norm, scale = anatomy.norms.get(address), held.scales.get(address)
        if norm is None or scale is None:
            return cls.identity(held, multiplier)
        bias = norm.bias * multiplier
        return cls(LinearNorm(norm.weight, bias, norm.centred), scale * multiplier)

    @classmethod
    def identity(cls, held: FrozenPass, multiplier: float = 1.0) -> "FrozenNorm":
        """The way to a place that no norm stands before."""
        like = held.attention[0].pattern
        return cls(None, torch.full((len(held.row),), multiplier, device=like.device))

    @property
    def bias(self) -> Float[Tensor, "width"] | float:
        return 0.0 if self.norm is None else self.norm.bias

    def linear(self, x: Float[Tensor, "*tokens width"]) -> Float[Tensor, "*tokens width"]:
        """Without the scale and the bias."""
        return x if self.norm is None else self.norm.linear(x)

    def transposed(self, y: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """The transpose of `linear`."""
        return y if self.norm is None else self.norm.transposed(y)

    def forward(self, x: Float[Tensor, "tokens width"]) -> Float[Tensor, "tokens width"]:
        return self.linear(x) * self.scale[:, None] + self.bias

    def backward(self, y: Float[Tensor, "rows tokens width"]) -> Float[Tensor, "rows tokens width"]:
        """What gradients behind it are before it, for the first tokens of the prompt."""
        return self.transposed(y) * self.scale[: y.shape[1], None]


@dataclass(frozen=True, slots=True, eq=False)
class FrozenBlock:
    """One block, all linear: attention adds to a stream x what `pattern` mixes of x @ value.T, @ output.

    Norms' weights are folded into the matrices, and their scales into the pattern: at query q and key k it is
    the attention, times the scale of the norm behind attention at q, times that of the norm before it at k.

    Attributes:
        pattern: `[kv_heads, heads per kv_head, tokens, tokens]`.
        value: `[kv_heads * size, d_model]`.
        output: `[heads * size, d_model]`.
        bias: what attention adds to a stream of zeros, for each token; zero where nothing has a bias.
        read_norm: the way from the stream into the MLP.
        write_norm: the way from the MLP into the stream.
    """

    pattern: Float[Tensor, "kv_heads group tokens tokens"]
    value: Float[Tensor, "values d_model"]
    output: Float[Tensor, "mixed d_model"]
    bias: Float[Tensor, "tokens d_model"] | float
    read_norm: FrozenNorm
    write_norm: FrozenNorm

    @classmethod
    def of(cls, anatomy: LinearParts, held: FrozenPass, layer: int) -> "FrozenBlock":
        """The block of a layer for the prompt that was held."""
        maps = anatomy.attention[layer]
        attention_by, mlp_by = anatomy.multipliers
        before = FrozenNorm.of(anatomy, held, f"attn_in.{layer}")
        behind = FrozenNorm.of(anatomy, held, f"attn_out_post.{layer}", attention_by)
        attention = held.attention[layer].pattern[0].float()
        # Fold norms in: weights into the maps, scales into the pattern (behind: at q, before: at k).
        output = behind.linear(maps.output.weight.T).contiguous()
        mixed = _mixed_bias(maps, before, attention) @ output + behind.linear(maps.output.bias)
        bias = mixed * behind.scale[:, None] + behind.bias
        return cls(
            (attention * behind.scale[:, None] * before.scale).unflatten(0, (maps.kv_heads, -1)),
            before.transposed(maps.value.weight),
            output,
            bias if bool(bias.any()) else 0.0,
            FrozenNorm.of(anatomy, held, f"mlp_in.{layer}"),
            FrozenNorm.of(anatomy, held, f"mlp_out_post.{layer}", mlp_by),
        )

    def mix_values(
        self, x: Float[Tensor, "*rows tokens d_model"]
    ) -> Float[Tensor, "*rows kv_heads group tokens size"]:
        """The values of the first tokens of the prompt as each head mixes them."""
        # Values are [*rows, tokens, kv_heads, 1, size]; heads that share them (grouped queries) broadcast.
        tokens, kv = x.shape[-2], len(self.pattern)
        values = (x @ self.value.T).unflatten(-1, (kv, 1, -1)).movedim(-4, -2)
        return self.pattern[:, :, :tokens, :tokens] @ values

    def attend(self, x: Float[Tensor, "*rows tokens d_model"]) -> Float[Tensor, "*rows tokens d_model"]:
        """What attention adds to the stream, but for its bias."""
        return self.mix_values(x).movedim(-2, -4).flatten(-3) @ self.output

    def backward_to_heads(
        self, r: Float[Tensor, "rows tokens d_model"]
    ) -> Float[Tensor, "rows tokens kv_heads group size"]:
        """What gradients behind attention are at its mixed values, for the first tokens of the prompt."""
        n, p, d = r.shape
        return (r.view(-1, d) @ self.output.T).view(n, p, *self.pattern.shape[:2], -1)

    def carry_backward(self, r: Float[Tensor, "rows tokens d_model"]) -> None:
        """Add to gradients behind attention what they are before it, in place, at a prompt's first tokens."""
        n, p, d = r.shape
        kv, group = self.pattern.shape[:2]
        # Heads that share a value map add their gradients: one product sums over heads and queries,
        # [kv_heads, keys, group * queries] @ [kv_heads, group * queries, rows * size].
        z = self.backward_to_heads(r).permute(2, 3, 1, 0, 4).reshape(kv, group * p, -1)
        pattern = self.pattern[:, :, :p, :p].reshape(kv, group * p, p)
        values = torch.bmm(pattern.transpose(1, 2), z).view(kv, p, n, -1)
        values = values.permute(2, 1, 0, 3).reshape(n * p, -1)
        r.view(-1, d).addmm_(values, self.value)

    def carry_backward_from(
        self, r: Float[Tensor, "rows tokens d_model"], position: Int[Tensor, "rows"]
    ) -> None:
        """`carry_backward` of gradients that are zero but for one position each.

        A head carries one vector then, to all tokens, each times its pattern. The value and output maps are
        multiplied with at one token instead of all, and heads x tokens x d_model products do the rest.
        """
        n, p, _ = r.shape
        kv, group = self.pattern.shape[:2]
        if p <= kv * group:  # fewer tokens than heads: the other way has less to do
            self.carry_backward(r)
            return
        z = r[torch.arange(n, device=r.device), position] @ self.output.T
        z = z.view(n, kv, group, -1).transpose(0, 1).flatten(1, 2)  # kv_heads x (rows * group) x size
        carried = torch.bmm(z, self.value.view(kv, z.shape[2], -1))
        carried = carried.unflatten(1, (n, group)).transpose(0, 1).flatten(1, 2)  # rows x heads x d_model
        pattern = self.pattern[:, :, position, :p].flatten(0, 1).permute(1, 2, 0)  # rows x tokens x heads
        torch.baddbmm(r, pattern, carried, out=r)


def _mixed_bias(
    maps: AttentionMaps, before: FrozenNorm, pattern: Float[Tensor, "heads tokens tokens"]
) -> Float[Tensor, "tokens mixed"]:
    """The values of a stream of zeros, mixed."""
    value = maps.value.bias
    if before.norm is not None:
        value = maps.value(before.norm.bias)
    heads = value.view(maps.kv_heads, -1).repeat_interleave(maps.heads // maps.kv_heads, 0)
    return (pattern.sum(2).T[:, :, None] * heads).flatten(1)

"""A block of one prompt with everything held but its MLP: attention, and the ways in and out of the MLP."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.models.frozen import FrozenPass
from mindscope.models.linear import Anatomy
from mindscope.models.norms import LinearNorm


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """A norm whose scales are held, or nothing: y = scale * norm.linear(x) + bias for each token."""

    norm: LinearNorm | None
    scale: Float[Tensor, "tokens"]

    @classmethod
    def of(cls, anatomy: Anatomy, held: FrozenPass, address: str, multiplier: float = 1.0) -> "Passage":
        """The norm that makes what is at an address, followed by a constant factor."""
        norm, scale = anatomy.norms.get(address), held.scales.get(address)
        if norm is None or scale is None:
            return cls.nothing(held, multiplier)
        bias = norm.bias * multiplier
        return cls(LinearNorm(norm.weight, bias, norm.centred), scale * multiplier)

    @classmethod
    def nothing(cls, held: FrozenPass, multiplier: float = 1.0) -> "Passage":
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

    def back(self, y: Float[Tensor, "rows tokens width"]) -> Float[Tensor, "rows tokens width"]:
        """What gradients behind it are before it, for the first tokens of the prompt."""
        return self.transposed(y) * self.scale[: y.shape[1], None]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One block, all linear.

    Norms' weights are folded into the matrices: v = scale_in * (x @ value.T) + value_bias is mixed by the
    pattern, out = scale_out * (mixed @ output + output_bias) + out_bias.

    Attributes:
        pattern: `[kv_heads, heads per kv_head, tokens, tokens]`.
        value: `[kv_heads * size, d_model]`.
        output: `[heads * size, d_model]`.
        read: the way from the stream into the MLP.
        write: the way from the MLP into the stream.
    """

    pattern: Float[Tensor, "kv_heads group tokens tokens"]
    value: Float[Tensor, "values d_model"]
    value_bias: Float[Tensor, "values"]
    scale_in: Float[Tensor, "tokens"]
    output: Float[Tensor, "mixed d_model"]
    output_bias: Float[Tensor, "d_model"]
    scale_out: Float[Tensor, "tokens"]
    out_bias: Float[Tensor, "d_model"] | float
    read: Passage
    write: Passage

    @classmethod
    def of(cls, anatomy: Anatomy, held: FrozenPass, layer: int) -> "Block":
        """The block of a layer for the prompt that was held."""
        maps = anatomy.attention[layer]
        attention_by, mlp_by = anatomy.multipliers
        before = Passage.of(anatomy, held, f"attn_in.{layer}")
        behind = Passage.of(anatomy, held, f"attn_out_post.{layer}", attention_by)
        pattern = held.attention[layer].pattern[0].float()
        return cls(
            pattern.unflatten(0, (maps.kv_heads, -1)),
            before.transposed(maps.value.weight),
            maps.value.bias + maps.value.weight @ _vector(before, maps.value.weight),
            before.scale,
            behind.linear(maps.output.weight.T).contiguous(),
            behind.linear(maps.output.bias),
            behind.scale,
            behind.bias,
            Passage.of(anatomy, held, f"mlp_in.{layer}"),
            Passage.of(anatomy, held, f"mlp_out_post.{layer}", mlp_by),
        )

    def mixed(
        self, x: Float[Tensor, "*rows tokens d_model"], bias: Float[Tensor, "values"] | float = 0.0
    ) -> Float[Tensor, "*rows kv_heads group tokens size"]:
        """The values of the first tokens of the prompt as each head mixes them, with a bias to the values."""
        tokens, kv = x.shape[-2], len(self.pattern)
        values = (x @ self.value.T) * self.scale_in[:tokens, None] + bias
        values = values.unflatten(-1, (kv, 1, -1)).movedim(-4, -2)
        return self.pattern[:, :, :tokens, :tokens] @ values

    def given(
        self, mixed: Float[Tensor, "*rows kv_heads group tokens size"]
    ) -> Float[Tensor, "*rows tokens d_model"]:
        """What mixed values add to the stream."""
        return (mixed.movedim(-2, -4).flatten(-3) @ self.output) * self.scale_out[: mixed.shape[-2], None]

    def attend(self, x: Float[Tensor, "*rows tokens d_model"]) -> Float[Tensor, "*rows tokens d_model"]:
        """What attention adds to the stream, but for its constant."""
        return self.given(self.mixed(x))

    def constant(self) -> Float[Tensor, "tokens d_model"]:
        """What attention adds to a stream of zeros."""
        nothing = self.scale_in.new_zeros(len(self.scale_in), self.value.shape[1])
        bias = self.output_bias * self.scale_out[:, None] + self.out_bias
        return self.given(self.mixed(nothing, self.value_bias)) + bias

    def taken(
        self, r: Float[Tensor, "rows tokens d_model"]
    ) -> Float[Tensor, "rows tokens kv_heads group size"]:
        """What gradients behind attention are at its mixed values, for the first tokens of the prompt."""
        n, p, d = r.shape
        z = (r * self.scale_out[:p, None]).view(-1, d) @ self.output.T
        return z.view(n, p, *self.pattern.shape[:2], -1)

    def attend_back(self, r: Float[Tensor, "rows tokens d_model"]) -> Float[Tensor, "rows tokens d_model"]:
        """What gradients behind attention are before it, for the first tokens of the prompt."""
        n, p, d = r.shape
        kv, group = self.pattern.shape[:2]
        z = self.taken(r).permute(2, 3, 1, 0, 4).reshape(kv, group * p, -1)
        pattern = self.pattern[:, :, :p, :p].reshape(kv, group * p, p)
        values = torch.bmm(pattern.transpose(1, 2), z).view(kv, p, n, -1)
        values = values.permute(2, 1, 0, 3).reshape(n * p, -1)
        return (values @ self.value).view(n, p, d) * self.scale_in[:p, None]


def _vector(passage: Passage, like: Tensor) -> Tensor:
    """The passage's bias as a vector."""
    return like.new_zeros(like.shape[1]) + passage.bias

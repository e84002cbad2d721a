"""A block of one prompt with everything held but its MLP: attention, and the ways in and out of the MLP.

With the attention pattern and norms' scales held, attention is a linear map of the stream: values are read,
mixed over tokens by the pattern, and written by the output map (Elhage et al. 2021, "A Mathematical Framework
for Transformer Circuits"). Its transpose carries gradients down. Value and output maps are kept apart: their
product, d_model x d_model for each head, would cost more than its factors.
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.models import AttentionMaps, AttentionRecord, FrozenPass, LinearNorm, LinearParts


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
        like = held.attention[0].query
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
        mixing: the pattern, `[kv_heads, heads per kv_head, tokens, tokens]`.
        value: `[kv_heads * size, d_model]`.
        output: `[heads * size, d_model]`.
        bias: what attention adds to a stream of zeros, for each token; zero where nothing has a bias.
        read_norm: the way from the stream into the MLP.
        write_norm: the way from the MLP into the stream.
    """

    mixing: "FrozenPattern"
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
        mixing = FrozenPattern(held.attention[layer], maps.kv_heads, before.scale, behind.scale)
        # Fold norms in: weights into the maps, scales into the pattern (behind: at q, before: at k).
        output = behind.linear(maps.output.weight.T).contiguous()
        mixed = _mixed_bias(maps, before, mixing) @ output + behind.linear(maps.output.bias)
        bias = mixed * behind.scale[:, None] + behind.bias
        return cls(
            mixing,
            before.transposed(maps.value.weight),
            output,
            bias if bool(bias.any()) else 0.0,
            FrozenNorm.of(anatomy, held, f"mlp_in.{layer}"),
            FrozenNorm.of(anatomy, held, f"mlp_out_post.{layer}", mlp_by),
        )

    @property
    def pattern(self) -> Float[Tensor, "kv_heads group tokens tokens"]:
        """The pattern as a whole."""
        n = self.mixing.n_tokens
        whole = self.value.new_zeros(self.mixing.kv_heads, self.mixing.group, n, n)
        for queries, keys, piece in self.mixing.pieces(n):
            whole[:, :, queries, keys] = piece
        return whole

    def mix_values(
        self, x: Float[Tensor, "*rows tokens d_model"]
    ) -> Float[Tensor, "*rows kv_heads group tokens size"]:
        """The values of the first tokens of the prompt as each head mixes them."""
        # Values are [*rows, tokens, kv_heads, 1, size]; heads that share them (grouped queries) broadcast.
        tokens, kv = x.shape[-2], self.mixing.kv_heads
        values = (x @ self.value.T).unflatten(-1, (kv, 1, -1)).movedim(-4, -2)
        mixed = [pattern @ values[..., keys, :] for _, keys, pattern in self.mixing.pieces(tokens)]
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed, dim=-2)

    def attend(self, x: Float[Tensor, "*rows tokens d_model"]) -> Float[Tensor, "*rows tokens d_model"]:
        """What attention adds to the stream, but for its bias."""
        return self.mix_values(x).movedim(-2, -4).flatten(-3) @ self.output

    def backward_to_heads(
        self, r: Float[Tensor, "rows tokens d_model"]
    ) -> Float[Tensor, "rows tokens kv_heads group size"]:
        """What gradients behind attention are at its mixed values, for the first tokens of the prompt."""
        n, p, d = r.shape
        return (r.view(-1, d) @ self.output.T).view(n, p, self.mixing.kv_heads, self.mixing.group, -1)

    def carry_backward(self, r: Float[Tensor, "rows tokens d_model"]) -> None:
        """Add to gradients behind attention what they are before it, in place, at a prompt's first tokens."""
        n, p, d = r.shape
        kv, group = self.mixing.kv_heads, self.mixing.group
        # Heads that share a value map add their gradients: one product sums over heads and queries,
        # [kv_heads, keys, group * queries] @ [kv_heads, group * queries, rows * size].
        z = self.backward_to_heads(r).permute(2, 3, 1, 0, 4)  # kv_heads group queries rows size
        values: Tensor | None = None
        for queries, keys, pattern in self.mixing.pieces(p):
            part = z[:, :, queries].reshape(kv, group * pattern.shape[2], -1)
            transposed = pattern.reshape(kv, part.shape[1], -1).transpose(1, 2)
            if transposed.shape[1] == p and values is None:
                values = torch.bmm(transposed, part)
                continue
            if values is None:
                values = part.new_zeros(kv, p, part.shape[2])
            for head in range(kv):  # some keys of every head lie apart: a product for each adds in place
                values[head, keys].addmm_(transposed[head], part[head])
        assert values is not None  # there is a token at least
        values = values.view(kv, p, n, -1).permute(2, 1, 0, 3).reshape(n * p, -1)
        r.view(-1, d).addmm_(values, self.value)

    def carry_backward_from(
        self, r: Float[Tensor, "rows tokens d_model"], position: Int[Tensor, "rows"]
    ) -> None:
        """`carry_backward` of gradients that are zero but for one position each.

        A head carries one vector then, to all tokens, each times its pattern. The value and output maps are
        multiplied with at one token instead of all, and heads x tokens x d_model products do the rest.
        """
        n, p, _ = r.shape
        kv, group = self.mixing.kv_heads, self.mixing.group
        if p <= kv * group:  # fewer tokens than heads: the other way has less to do
            self.carry_backward(r)
            return
        z = r[torch.arange(n, device=r.device), position] @ self.output.T
        z = z.view(n, kv, group, -1).transpose(0, 1).flatten(1, 2)  # kv_heads x (rows * group) x size
        carried = torch.bmm(z, self.value.view(kv, z.shape[2], -1))
        carried = carried.unflatten(1, (n, group)).transpose(0, 1).flatten(1, 2)  # rows x heads x d_model
        pattern = self.mixing.at(position, p).flatten(0, 1).permute(1, 2, 0)  # rows x tokens x heads
        torch.baddbmm(r, pattern, carried, out=r)


class FrozenPattern:
    """An attention pattern with norms' scales in it: kept as a whole, or made again from queries and keys.

    Attributes:
        kv_heads, group: heads that have values, and heads that share them.
        n_tokens: of the prompt.
    """

    def __init__(
        self,
        attended: AttentionRecord,
        kv_heads: int,
        before: Float[Tensor, "tokens"],
        behind: Float[Tensor, "tokens"],
    ):
        self.kv_heads, self.group = kv_heads, attended.query.shape[1] // kv_heads
        self.n_tokens = attended.query.shape[2]
        self._attended, self._before, self._behind = attended, before, behind
        self._whole = None if attended.kept is None else self._scaled(slice(0, self.n_tokens))

    @property
    def is_kept(self) -> bool:
        """Whether the whole pattern is in memory."""
        return self._whole is not None

    def with_whole(self, pattern: Float[Tensor, "kv_heads group tokens tokens"]) -> "FrozenPattern":
        """Another pattern in the place of this one."""
        changed = copy(self)
        changed._whole = pattern
        return changed

    def pieces(
        self, n_tokens: int
    ) -> Iterator[tuple[slice, slice, Float[Tensor, "kv_heads group queries keys"]]]:
        """The pattern among the first tokens, a few queries at a time: queries, keys, pattern.

        Of a piece only the keys are there that its queries see, half of them in the mean, or a window. A
        pattern that is kept comes as one piece.
        """
        if self._whole is not None:
            whole = slice(0, n_tokens)
            yield whole, whole, self._whole[:, :, whole, whole]
            return
        for queries in self._attended.call.split_queries():
            if queries.start < n_tokens:
                own = slice(queries.start, min(queries.stop, n_tokens))
                seen = self._attended.call.find_keys(own)
                keys = slice(min(seen.start, n_tokens), min(seen.stop, n_tokens))
                yield own, keys, self._scaled(own, seen)[..., : keys.stop - keys.start]

    def at(self, position: Int[Tensor, "rows"], n_keys: int) -> Float[Tensor, "kv_heads group rows keys"]:
        """The pattern of the queries at some positions."""
        if self._whole is not None:
            return self._whole[:, :, position, :n_keys]
        queries, place = position.unique(return_inverse=True)
        return self._scaled(queries)[..., place, :n_keys]

    def sums(self) -> Float[Tensor, "heads tokens"]:
        """How much each query takes in all, without the scales; 1 but where there are sinks."""
        pieces = self._attended.call.split_queries()
        return torch.cat([self._attended.rows(queries)[0].float().sum(2) for queries in pieces], dim=1)

    def _scaled(
        self, queries: slice | Tensor, keys: slice = slice(None)
    ) -> Float[Tensor, "kv_heads group queries keys"]:
        pattern = self._attended.rows(queries, keys)[0].float()
        behind, before = self._behind[queries, None], self._before[keys]
        # A pattern that was made for this is scaled where it lies.
        scaled = pattern * behind if self._attended.kept is not None else pattern.mul_(behind)
        return scaled.mul_(before).unflatten(0, (self.kv_heads, -1))


def _mixed_bias(
    maps: AttentionMaps, before: FrozenNorm, mixing: FrozenPattern
) -> Float[Tensor, "tokens mixed"]:
    """The values of a stream of zeros, mixed."""
    value = maps.value.bias
    if before.norm is not None:
        value = maps.value(before.norm.bias)
    heads = value.view(maps.kv_heads, -1).repeat_interleave(maps.heads // maps.kv_heads, 0)
    return (mixing.sums().T[:, :, None] * heads).flatten(1)

"""The sparse code: which latents are active on which token, and how strongly."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mindscope.errors import DataError
from mindscope.features.host_waits import count_each


@dataclass(frozen=True, eq=False)
class SparseCode:
    """Active latents of many tokens, in compressed rows: token t has entries offsets[t] to offsets[t + 1].

    Attributes:
        indices: `[active]`, the latent of every entry, int64.
        values: `[active]`, its activation.
        offsets: `[tokens + 1]`, int64.
        n_latents: how many latents there are in all.
    """

    indices: Int[Tensor, "active"]
    values: Float[Tensor, "active"]
    offsets: Int[Tensor, "tokens_and_one"]
    n_latents: int

    @classmethod
    def of(cls, activations: Float[Tensor, "tokens latents"]) -> "SparseCode":
        """The entries of dense activations that are not zero."""
        token, latent = activations.nonzero(as_tuple=True)
        counts = torch.bincount(token, minlength=len(activations))
        return cls(latent, activations[token, latent], _offsets(counts), activations.shape[1])

    @classmethod
    def of_top(
        cls, indices: Int[Tensor, "tokens k"], values: Float[Tensor, "tokens k"], n_latents: int
    ) -> "SparseCode":
        """The same number of candidates for every token; those that are not positive are left out."""
        active = values > 0
        return cls(indices[active], values[active], _offsets(active.sum(1)), n_latents)

    @classmethod
    def by_token(
        cls,
        indices: Int[Tensor, "active"],
        values: Float[Tensor, "active"],
        tokens: Int[Tensor, "active"],
        count: int,
        n_latents: int,
    ) -> "SparseCode":
        """Entries of `count` tokens, those of the first token first."""
        return cls(indices, values, _offsets(count_each(tokens, count)), n_latents)

    @classmethod
    def joined(cls, codes: "list[SparseCode]") -> "SparseCode":
        """Codes of the same tokens side by side; the latents of each come after those of the one before."""
        if len(codes) == 1:
            return codes[0]
        starts = [0]
        for code in codes:
            starts.append(starts[-1] + code.n_latents)
        tokens = torch.cat([code.tokens for code in codes])
        order = tokens.argsort(stable=True)
        indices = torch.cat([code.indices + start for code, start in zip(codes, starts, strict=False)])
        counts = torch.stack([code.l0 for code in codes]).sum(0)
        return cls(
            indices[order], torch.cat([code.values for code in codes])[order], _offsets(counts), starts[-1]
        )

    @classmethod
    def stacked(cls, codes: "list[SparseCode]") -> "SparseCode":
        """Codes over the same latents, the tokens of each after those of the one before."""
        if len(codes) == 1:
            return codes[0]
        return cls(
            torch.cat([code.indices for code in codes]),
            torch.cat([code.values for code in codes]),
            _offsets(torch.cat([code.l0 for code in codes])),
            codes[0].n_latents,
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def l0(self) -> Int[Tensor, "tokens"]:
        """How many latents are active on each token."""
        return self.offsets.diff()

    @cached_property
    def tokens(self) -> Int[Tensor, "active"]:
        """The token of every entry."""
        tokens = torch.arange(len(self), device=self.offsets.device)
        return tokens.repeat_interleave(self.l0, output_size=len(self.indices))  # which need not be asked for

    def dense(self) -> Float[Tensor, "tokens latents"]:
        """Activations with their zeros."""
        dense = self.values.new_zeros(len(self), self.n_latents)
        return dense.index_put((self.tokens, self.indices), self.values)

    def columns(self, latents: Int[Tensor, "k"]) -> Float[Tensor, "tokens k"]:
        """Activations of some latents, with their zeros."""
        column = latents.new_full((self.n_latents,), -1).to(self.indices.device)
        column[latents.to(column.device)] = torch.arange(len(latents), device=column.device)
        chosen = column[self.indices]
        inside = chosen >= 0
        table = self.values.new_zeros(len(self), len(latents))
        return table.index_put((self.tokens[inside], chosen[inside]), self.values[inside])

    def of_latents(self, start: int, stop: int) -> "SparseCode":
        """The part that latents `start` to `stop` have in it, counted from `start`."""
        if not 0 <= start <= stop <= self.n_latents:
            raise DataError(f"latents {start} to {stop} are asked for, there are {self.n_latents}")
        if (start, stop) == (0, self.n_latents):
            return self
        part = self.where((self.indices >= start) & (self.indices < stop))
        return SparseCode(part.indices - start, part.values, part.offsets, stop - start)

    def where(self, chosen: Bool[Tensor, "active"]) -> "SparseCode":
        """Only the entries of a mask."""
        tokens = self.tokens[chosen]
        return SparseCode.by_token(
            self.indices[chosen], self.values[chosen], tokens, len(self), self.n_latents
        )


def _offsets(counts: Int[Tensor, "tokens"]) -> Int[Tensor, "tokens_and_one"]:
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])

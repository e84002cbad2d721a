"""Active features of a prompt, seen from the layer that reads them and from the layer that they write to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.circuits.index_spaces import ColumnIndex


@dataclass(frozen=True, slots=True, eq=False)
class LayerFeatures:
    """The active features of one layer, and their weights: what a replacement makes of a prompt.

    Attributes:
        position: `[active]` ascending; `latent` ascending within a position.
        activation: `[active]`.
        preactivation: `[active]`, linear in what is read: encoder . read + bias.
        gather_encoders: given entries `[k]`, their encoders `[k, width read]` and biases `[k]`.
        skips: by the layer written, the linear path `[width read, width written]` beside the features.
    """

    position: Int[Tensor, "active"]
    latent: Int[Tensor, "active"]
    activation: Float[Tensor, "active"]
    preactivation: Float[Tensor, "active"]
    gather_encoders: Callable[[Tensor], tuple[Tensor, Tensor]]
    skips: dict[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureWrites:
    """Everything that features write at one layer, as vectors in the residual stream, by position.

    Entries are sorted by column, so that a position's entries lie side by side. Features of several layers
    can write at one layer (a cross-layer transcoder), and one decoder row can serve many tokens.

    Attributes:
        columns: `[entries]`, whose column of `EdgeBlock.features` each entry is.
        starts: `[tokens + 1]`, the entries of position q are starts[q] to starts[q + 1].
        spans: per position its columns where they lie side by side, which needs no copy; None where not.
        gain: `[entries]`, activation times what the way into the stream scales by.
        decoder_rows: `[n, d_model]` in the stream.
        decoder_row_of: `[entries]`, each entry's row of `decoder_rows`; None where every entry has a row of
            its own, with its gain in it.
    """

    columns: ColumnIndex
    starts: tuple[int, ...]
    spans: tuple[slice | None, ...]
    gain: Float[Tensor, "entries"]
    decoder_rows: Float[Tensor, "n d_model"]
    decoder_row_of: Int[Tensor, "entries"] | None

    def vectors_at(self, position: int) -> Float[Tensor, "written d_model"]:
        """What is written at a position, a row per entry."""
        entries = slice(self.starts[position], self.starts[position + 1])
        if self.decoder_row_of is None:
            return self.decoder_rows[entries]
        return self.decoder_rows[self.decoder_row_of[entries]] * self.gain[entries, None]

    def columns_at(self, position: int) -> slice | Tensor:
        """The columns of these rows: a slice where they lie side by side."""
        span = self.spans[position]
        return self.columns[self.starts[position] : self.starts[position + 1]] if span is None else span

    def vectors_of(
        self, columns: ColumnIndex
    ) -> tuple[Int[Tensor, "written"], Float[Tensor, "written d_model"]]:
        """What some columns write here: which of them write at all, and their vectors."""
        # Columns are sorted, and a column has one entry at most: bisected for, then compared.
        entry = torch.searchsorted(self.columns, columns).clamp(max=max(0, len(self.columns) - 1))
        writing = (self.columns[entry] == columns).nonzero().flatten() if len(self.columns) else entry[:0]
        entry = entry[writing]
        if self.decoder_row_of is None:
            return writing, self.decoder_rows[entry]
        return writing, self.decoder_rows[self.decoder_row_of[entry]] * self.gain[entry, None]

    def sum_by_position(self) -> Float[Tensor, "tokens d_model"]:
        """The sum of what is written, by position."""
        return torch.stack([self.vectors_at(q).sum(0) for q in range(len(self.starts) - 1)])


def find_spans(columns: ColumnIndex, starts: Sequence[int]) -> tuple[slice | None, ...]:
    """See `FeatureWrites.spans`."""
    ordered = columns.tolist()
    spans: list[slice | None] = []
    for start, stop in pairwise(starts):
        first, last = (ordered[start], ordered[stop - 1] + 1) if stop > start else (0, 0)
        spans.append(slice(first, last) if last - first == stop - start else None)
    return tuple(spans)

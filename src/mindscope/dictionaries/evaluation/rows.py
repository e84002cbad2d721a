"""Rows on their way through model and dictionary: which tokens count, and what is read of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.models import Model, Raw, Read, Row, Where, position_mask


@dataclass(frozen=True, slots=True)
class MeasuredTokens:
    """Which tokens of a row are replaced and measured: those of `where`, from position `skip` on."""

    where: Where = "all"
    skip: int = 0

    def mask(self, rows: Sequence[Row]) -> Bool[Tensor, "rows columns"]:
        """For rows side by side, padded to the right; False on padding."""
        columns = np.arange(max(map(len, rows), default=0))
        lengths = np.array([len(row) for row in rows])[:, None]
        positions = np.where(columns < lengths, columns, -1)
        chosen = position_mask(self.where, positions, np.array([row.prompt_length for row in rows]))
        return torch.from_numpy(chosen & (positions >= self.skip))


def read_sites(
    model: Model, dictionary: Dictionary, rows: Sequence[Row], tokens: MeasuredTokens
) -> tuple[list[Float[Tensor, "tokens d_in"]], list[Float[Tensor, "tokens d_out"]]]:
    """What a dictionary reads and what stands where it writes, row by row, of the tokens that count."""
    sites = dict.fromkeys(site.address for site in (*dictionary.reads, *dictionary.writes))
    found = model.read(rows, {address: Read(address, Raw("all")) for address in sites})
    chosen = [one[: len(row)] for one, row in zip(tokens.mask(rows), rows, strict=True)]

    def joined(side: Sequence[str]) -> list[Tensor]:
        return [
            torch.cat([found[address].values[at][keep] for address in side], dim=1)
            for at, keep in enumerate(chosen)
        ]

    return (
        joined([site.address for site in dictionary.reads]),
        joined([site.address for site in dictionary.writes]),
    )

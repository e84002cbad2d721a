"""Which tokens of rows count."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool

from mindscope.models import Row, Where, position_mask


@dataclass(frozen=True, slots=True)
class MeasuredTokens:
    """Which tokens of a row are measured: those of `where`, from position `skip` on."""

    where: Where = "all"
    skip: int = 0

    def mask(self, rows: Sequence[Row]) -> Bool[torch.Tensor, "rows columns"]:
        """For rows side by side, padded to the right; False on padding."""
        columns = np.arange(max(map(len, rows), default=0))
        lengths = np.array([len(row) for row in rows])[:, None]
        positions = np.where(columns < lengths, columns, -1)
        prompts = np.array([row.prompt_length for row in rows])
        finals = np.array([row.final_start for row in rows])
        chosen = position_mask(self.where, positions, prompts, finals)
        return torch.from_numpy(chosen & (positions >= self.skip))

    def flat(self, rows: Sequence[Row]) -> Bool[torch.Tensor, "tokens"]:
        """For the tokens of all rows, one row after the other."""
        parts = [self.mask([row])[0] for row in rows]
        return torch.cat([torch.zeros(0, dtype=torch.bool), *parts])

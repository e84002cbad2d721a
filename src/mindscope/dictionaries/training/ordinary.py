"""Activations of ordinary tokens: a source without the outliers of another.

1. A buffer is filled from the source. The first one tells how long ordinary tokens are (`OutlierLimits`).
2. Ordinary tokens are moved to the front of the buffer, in their order.
3. The rest is filled from where the source stopped, by way of a scratch buffer of `AT_LEAST` tokens: a source
   that reads whole rows would give the first token of a row, the sink, again and again if it were asked for
   one. What the scratch buffer has too many is not used.

The same position gives the same activations, and counts the same outliers, as the limits do not change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from mindscope.dictionaries.training.sources import ActivationSource, Position
from mindscope.errors import DataError
from mindscope.features import OutlierLimits

AT_LEAST = 1024
"""Tokens that are read at a time to fill what outliers have left empty: several rows of a usual length."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many tokens were left out, of how many that were read."""

    outliers: int = 0
    read: int = 0

    def __add__(self, other: "LeftOut") -> "LeftOut":
        return LeftOut(self.outliers + other.outliers, self.read + other.read)


def describe_left_out(left_out: LeftOut, limits: OutlierLimits) -> dict[str, Any]:
    """For the metadata of a dictionary: `read_left_out` reads it."""
    return {"left_out": left_out.outliers, "read": left_out.read, "limits": dict(limits.norms)}


def read_left_out(metadata: Mapping[str, Any]) -> LeftOut | None:
    """How many tokens a dictionary's training left out; None where the dictionary does not say."""
    about = metadata.get("outliers")
    return None if about is None else LeftOut(int(about["left_out"]), int(about["read"]))


class OrdinaryTokens:
    """Fills buffers with the tokens of a source that are no outliers.

    Args:
        source: of all tokens.
        limits: how long ordinary tokens are; measured on the first buffer if left out.
    """

    def __init__(self, source: ActivationSource, limits: OutlierLimits | None = None) -> None:
        self.source, self.limits = source, limits

    def fill(self, buffer: Float[Tensor, "tokens width"], position: Position) -> tuple[Position, LeftOut]:
        """As `ActivationSource.fill`, and how many tokens were left out on the way.

        Raises:
            DataError: the source gives nothing but outliers.
        """
        position = self.source.fill(buffer, position)
        if self.limits is None:
            self.limits = OutlierLimits.measured(buffer, self.source.sites)
        filled, left_out = self._compact(buffer)
        while filled < len(buffer):
            scratch = buffer.new_empty(max(AT_LEAST, len(buffer) - filled), buffer.shape[1])
            position = self.source.fill(scratch, position)
            kept, more = self._compact(scratch)
            if not kept:
                raise DataError(
                    f"{len(scratch):,} tokens in a row are outliers against the first ones: the activations "
                    "change along the corpus; shuffle it, or keep outliers (keep_outliers)"
                )
            count = min(kept, len(buffer) - filled)
            buffer[filled : filled + count] = scratch[:count]
            filled, left_out = filled + count, left_out + more
        return position, left_out

    def _compact(self, buffer: Tensor) -> tuple[int, LeftOut]:
        """Move ordinary tokens to the front: how many there are, and what was left out."""
        assert self.limits is not None
        ordinary = self.limits.ordinary(buffer, self.source.sites)
        count = int(ordinary.sum())
        if count < len(buffer):
            buffer[:count] = buffer[ordinary]
        return count, LeftOut(len(buffer) - count, len(buffer))

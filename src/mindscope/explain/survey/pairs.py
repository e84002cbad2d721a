"""Which token sets which feature off: counts of every pair that occurs, in bounded memory."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor


class TokenPairs:
    """For pairs of a feature and the token it is active on: how often, how strongly in all, at most.

    Where more pairs occur than `most`, those with the smallest sums are forgotten, and the counts of a pair
    that comes back are too small; `dropped` says how many were.

    Attributes:
        keys: `[pairs]`, feature times vocabulary plus token, rising.
        counts, sums, highest: `[pairs]`.
    """

    def __init__(self, vocabulary: int, most: int) -> None:
        self.vocabulary, self.most, self.dropped = vocabulary, most, 0
        self.keys = torch.zeros(0, dtype=torch.int64)
        self.counts = torch.zeros(0, dtype=torch.int64)
        self.sums = torch.zeros(0, dtype=torch.float64)
        self.highest = torch.zeros(0)
        self._waiting: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def add(
        self,
        features: Int[Tensor, "values"],
        tokens: Int[Tensor, "values"],
        activations: Float[Tensor, "values"],
    ) -> None:
        """Count activations, each of one feature on one token; `flush` brings them in."""
        keys, where = (features * self.vocabulary + tokens).unique(return_inverse=True)
        self._waiting.append(
            (keys, *_summed(len(keys), where, torch.ones_like(where), activations, activations))
        )

    def flush(self) -> None:
        """Bring in what waits, and forget the weakest pairs where there are too many."""
        if not self._waiting:
            return
        parts = [(self.keys, self.counts, self.sums, self.highest), *self._waiting]
        keys, counts, sums, highest = (torch.cat(part) for part in zip(*parts, strict=True))
        self._waiting = []
        self.keys, where = keys.unique(return_inverse=True)
        self.counts, self.sums, self.highest = _summed(len(self.keys), where, counts, sums, highest)
        if (extra := len(self.keys) - self.most) > 0:
            kept = self.sums.argsort(stable=True, descending=True)[: self.most].sort().values
            self.keys, self.counts = self.keys[kept], self.counts[kept]
            self.sums, self.highest = self.sums[kept], self.highest[kept]
            self.dropped += extra

    def table(self, features: int) -> dict[str, Tensor]:
        """By feature, whose are from `offsets` on; `by_token` sorts them by token (`token_offsets`)."""
        token, feature = self.keys % self.vocabulary, self.keys // self.vocabulary
        by_token = token.argsort(stable=True)
        return {
            "offsets": _offsets(feature, features),
            "tokens": token.int(),
            "features": feature.int(),
            "counts": self.counts,
            "sums": self.sums.float(),
            "highest": self.highest,
            "by_token": by_token,
            "token_offsets": _offsets(token, self.vocabulary),
        }

    def state(self) -> dict[str, Tensor]:
        assert not self._waiting, "flush first"
        return {
            "keys": self.keys,
            "counts": self.counts,
            "sums": self.sums,
            "highest": self.highest,
            "dropped": torch.tensor(self.dropped),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.keys, self.counts = state["keys"], state["counts"]
        self.sums, self.highest = state["sums"], state["highest"]
        self.dropped = int(state["dropped"])


def _summed(
    size: int, where: Tensor, counts: Tensor, sums: Tensor, highest: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.zeros(size, dtype=torch.int64).index_add_(0, where, counts),
        torch.zeros(size, dtype=torch.float64).index_add_(0, where, sums.double()),
        torch.full((size,), -torch.inf).scatter_reduce(0, where, highest.float(), "amax"),
    )


def _offsets(groups: Tensor, size: int) -> Tensor:
    counts = torch.bincount(groups, minlength=size)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])

"""The best few of what streams past, for many features at once, in memory that is fixed beforehand.

Every feature has a table of `size` places. A block of peaks is merged for all features in one go:

1. Peaks whose key does not beat the lowest of their feature's full table are dropped: soon, most are.
2. The rest are sorted by feature, within a feature by falling key, within a key by row; so the earlier row
   wins, and the result does not depend on how the corpus was cut into blocks.
3. A peak's rank within its feature is its distance from the feature's first; ranks from `size` on are
   dropped.
4. The best peaks take the places that are free. Of those left over, the j-th best takes the place of the j-th
   lowest that was there before, as long as it is above it; of two equal ones the earlier row stays. That
   leaves the largest of both, and nothing is moved that stays: a place is written only by what takes it.

So places are in no order; `state` sorts them by falling key.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

FEATURES_AT_ONCE = 16_384
"""Features whose whole tables are looked at together: those of half a million take gigabytes."""


@dataclass(frozen=True)
class PeakActivations:
    """For each pair of a row and a feature that is active in it: the token where it is strongest.

    Attributes:
        features: `[pairs]`.
        rows: `[pairs]`, in the corpus, counted from 0.
        positions: `[pairs]`, of the peak in its row.
        values: `[pairs]`, the activation there.
    """

    features: Int[Tensor, "pairs"]
    rows: Int[Tensor, "pairs"]
    positions: Int[Tensor, "pairs"]
    values: Float[Tensor, "pairs"]

    def __getitem__(self, chosen: Tensor) -> "PeakActivations":
        return PeakActivations(
            self.features[chosen], self.rows[chosen], self.positions[chosen], self.values[chosen]
        )


Windows = Callable[[PeakActivations], Float[Tensor, "pairs window"]]
"""The activations around each peak."""


class TopContexts:
    """The `size` peaks of each feature with the largest keys, one a row of the corpus, and their windows.

    With activations as keys these are the top contexts; with a hash as keys they are a uniform sample of the
    rows in which a feature is active (bottom-k sampling), whichever order the rows come in. Equal keys: the
    earlier row stays.

    Attributes:
        tables: `keys`, `values` (float32), `rows` (-1 where empty), `positions` and `scales` (float32)
            `[features, size]`, and `windows` (float16) `[features, size, window]`, as shares of the scales.
            A scale is the largest magnitude of its window, so
            that half precision holds activations of any size. Taken places come first; `state` puts them in
            falling order of their keys.
        changed: `[features]`, whose tables have changed since `take_changes`.
    """

    def __init__(self, features: int, size: int, window: int) -> None:
        self.size = size
        self.changed = torch.zeros(features, dtype=torch.bool)
        self._filled = torch.zeros(features, dtype=torch.int64)
        self._lowest = torch.full((features,), -torch.inf, dtype=torch.float64)
        self.tables: dict[str, Tensor] = {
            "keys": torch.full((features, size), -torch.inf, dtype=torch.float64),
            "values": torch.zeros(features, size),
            "rows": torch.full((features, size), -1, dtype=torch.int64),
            "positions": torch.zeros(features, size, dtype=torch.int64),
            "scales": torch.zeros(features, size),
            "windows": torch.zeros(features, size, window, dtype=torch.float16),
        }

    def offer(self, peaks: PeakActivations, keys: Float[Tensor, "pairs"], windows: Windows) -> None:
        """Take in peaks of new rows."""
        better = keys > self._lowest[peaks.features]  # step 1
        peaks, keys = peaks[better], keys[better].double()
        # Step 2: stable sorts by the least important criterion first, so that each keeps the order before it
        # among its equals.
        order = torch.arange(len(keys))
        for by, falling in ((peaks.rows, False), (keys, True), (peaks.features, False)):
            order = order[by[order].argsort(stable=True, descending=falling)]
        peaks, keys = peaks[order], keys[order]
        # Step 3: `offered` are the features of this block, each a run of `counts` peaks
        offered, counts = peaks.features.unique_consecutive(return_counts=True)
        starts = counts.cumsum(0) - counts
        rank = torch.arange(len(keys)) - starts.repeat_interleave(counts)
        group = torch.arange(len(offered)).repeat_interleave(counts)
        ranked = rank < self.size
        peaks, keys, rank, group = peaks[ranked], keys[ranked], rank[ranked], group[ranked]
        if not len(keys):
            return
        places = self._find_places(offered, keys, rank, group)  # step 4
        stays = places >= 0
        peaks, keys, places = peaks[stays], keys[stays], places[stays]
        # Windows are looked up only for the peaks that stay: they are most of the work.
        around = windows(peaks).float()
        scales = around.abs().amax(dim=1)
        new = {
            "keys": keys,
            "values": peaks.values.float(),
            "rows": peaks.rows,
            "positions": peaks.positions,
            "scales": scales,
            "windows": (around / scales.clamp(min=torch.finfo(torch.float32).tiny)[:, None]).half(),
        }
        for name, table in self.tables.items():
            table[peaks.features, places] = new[name]
        self._count(offered)
        self.changed[offered] = True

    def _find_places(
        self, offered: Tensor, keys: Tensor, rank: Tensor, group: Tensor
    ) -> Int[Tensor, "pairs"]:
        """Where each peak goes; -1 for those that do not stay."""
        filled = self._filled[offered]
        places = filled[group] + rank
        over = places - self.size  # the how-manyth of those that find no free place; below 0 where they do
        crowded = torch.zeros(len(offered), dtype=torch.bool)
        crowded[group[over >= 0]] = True
        for some in crowded.nonzero()[:, 0].split(FEATURES_AT_ONCE):
            features, here = offered[some], torch.full((len(offered),), -1)
            here[some] = torch.arange(len(some))
            wanting = ((here[group] >= 0) & (over >= 0)).nonzero()[:, 0]
            # From the lowest on, of equal ones the latest row first; free places are not to be taken again.
            order = self.tables["rows"][features].argsort(dim=1, descending=True)
            old = self.tables["keys"][features].gather(1, order)
            old = old.masked_fill(old == -torch.inf, torch.inf)
            rising = old.argsort(dim=1, stable=True)
            line, column = here[group[wanting]], over[wanting]
            lowest = rising[line, column]
            beaten = keys[wanting] > old[line, lowest]
            places[wanting] = torch.where(beaten, order[line, lowest], -1)
        return places

    def _count(self, features: Tensor) -> None:
        """How many places of these are taken, and what a new key must beat."""
        for some in features.split(FEATURES_AT_ONCE):
            filled = (self.tables["rows"][some] >= 0).sum(1)
            self._filled[some] = filled
            # With a free place the lowest key is that of an empty one.
            self._lowest[some] = self.tables["keys"][some].amin(1)

    def _sort(self) -> None:
        """Put every feature's places in falling order of their keys; of equal ones the earlier row first."""
        for some in torch.arange(len(self._filled)).split(FEATURES_AT_ONCE):
            order = self.tables["rows"][some].argsort(dim=1)
            keys = self.tables["keys"][some].gather(1, order)
            order = order.gather(1, keys.argsort(dim=1, stable=True, descending=True))
            flat = (order + torch.arange(len(some))[:, None] * self.size).flatten()
            for table in self.tables.values():
                table[some] = table[some].flatten(0, 1)[flat].unflatten(0, order.shape)

    def take_changes(self) -> dict[str, Tensor]:
        """The tables of the features that have changed since the last call, and which these are.

        Places that are empty in all of them are left out: early in a corpus nearly all are.
        """
        features = self.changed.nonzero()[:, 0]
        self.changed.zero_()
        filled = int(self._filled[features].max()) if len(features) else 0
        changes = {name: table[features, :filled] for name, table in self.tables.items()}
        changes["keys"] = changes["keys"].nan_to_num(neginf=torch.finfo(torch.float64).min)
        return changes | {"features": features}

    def apply_changes(self, changes: Mapping[str, Tensor]) -> None:
        """Take what `take_changes` gave."""
        features = changes["features"]
        filled = changes["rows"].shape[1]
        for name, table in self.tables.items():
            table[features, :filled] = changes[name]
        keys = self.tables["keys"]
        keys[features] = keys[features].masked_fill(self.tables["rows"][features] < 0, -torch.inf)
        self._count(features)

    def state(self) -> dict[str, Tensor]:
        """All tables, in order."""
        self._sort()
        # An empty place has the key -inf, which an artefact may not hold.
        return self.tables | {"keys": self.tables["keys"].nan_to_num(neginf=torch.finfo(torch.float64).min)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.tables = dict(state)
        empty = self.tables["rows"] < 0
        self.tables["keys"] = self.tables["keys"].masked_fill(empty, -torch.inf)
        self._count(torch.arange(len(empty)))
        self.changed.fill_(True)


def mixed(numbers: Int[Tensor, "*shape"], seed: int) -> Float[Tensor, "*shape"]:
    """Numbers from 0 to 1 that look random and depend on nothing but theirs and the seed (splitmix64)."""
    x = (numbers + 1) * -7046029254386353131 + seed % 2**31 * -4658895280553007687 % 2**62
    x = (x ^ _right(x, 30)) * -4658895280553007687
    x = (x ^ _right(x, 27)) * -7723592293110705685
    x = x ^ _right(x, 31)
    return _right(x, 11).double() / 2**53


def _right(x: Tensor, by: int) -> Tensor:
    """The shift of unsigned numbers; torch keeps the sign."""
    return (x >> by) & ((1 << (64 - by)) - 1)

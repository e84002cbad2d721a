"""What a survey keeps of the activations that stream past.

A chunk of rows arrives as a sparse code: entries (token, feature, activation). In one go for all features:

1. Every entry is counted: active tokens, sums and squares, the extremes, the histogram, and its pair of
   feature and token id.
2. Entries are sorted by (token, feature), so that the activation of any feature at any token of the chunk can
   be looked up by search (`_ActivationWindows`).
3. Entries are reduced to peaks: for each pair of a row and a feature, the token where it is strongest. Only
   peaks are kept of the corpus, one a row, so that a long row cannot fill a feature's contexts.
4. Peaks are offered to tables of fixed size: the strongest, the lowest of signed features, and those with the
   largest pseudo-random key, which is a uniform sample of the rows in which the feature is active.
5. A few rows are kept with all that is active in them: contrast for features that are silent there.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from mindscope.dictionaries import SparseCode
from mindscope.explain.survey.best import PeakActivations, TopContexts, mixed
from mindscope.explain.survey.config import SurveyConfig
from mindscope.explain.survey.histogram import ActivationHistograms
from mindscope.explain.survey.pairs import TokenPairs
from mindscope.models import Row


class SurveyAccumulator:
    """Statistics, histograms, contexts and token counts of all features; see `SurveyConfig` for their sizes.

    A feature is active where its activation is above 0. Of signed features the lowest contexts and a
    histogram of the negative side are kept too.
    """

    def __init__(self, features: int, vocabulary: int, config: SurveyConfig, *, signed: bool) -> None:
        self.n_features, self.config = features, config
        self.rows = self.tokens = self.outliers = 0
        window = config.before + 1 + config.after
        self.moments = {
            "active": torch.zeros(features, dtype=torch.int64),
            "active_rows": torch.zeros(features, dtype=torch.int64),
            "sum": torch.zeros(features, dtype=torch.float64),
            "squares": torch.zeros(features, dtype=torch.float64),
            "highest": torch.zeros(features),
            "lowest": torch.zeros(features),
        }
        self.seen = torch.zeros(vocabulary, dtype=torch.int64)
        self.pairs = TokenPairs(vocabulary, config.most_pairs)
        self.histograms = {"positive": ActivationHistograms(features)}
        self.best = {
            "top": TopContexts(features, config.top, window),
            "sample": TopContexts(features, config.sample, window),
        }
        if signed:
            self.histograms["negative"] = ActivationHistograms(features)
            self.best["bottom"] = TopContexts(features, config.top, window)
        self.controls: dict[int, tuple[float, Tensor]] = {}

    def add(
        self, rows: Sequence[Row], code: SparseCode, counted: Bool[Tensor, "tokens"], outliers: int
    ) -> None:
        """Take in rows and the activations on their tokens, one row after the other.

        Args:
            rows: of the corpus.
            code: of all their tokens.
            counted: which tokens count; on the others every feature is silent.
            outliers: how many do not because of their very large activations.
        """
        code = code.where(counted.to(code.tokens.device)[code.tokens])
        lengths = torch.tensor([len(row) for row in rows])
        ids = torch.from_numpy(np.concatenate([np.array(row.ids, np.int64) for row in rows]))
        # entries x 1, in the order of tokens; tokens are counted over all rows of the chunk
        features, values, tokens = code.indices.cpu(), code.values.detach().float().cpu(), code.tokens.cpu()
        self.seen.index_add_(0, ids[counted], torch.ones_like(ids[counted]))
        self._count(features, values, ids[tokens])
        windows = _ActivationWindows(
            features, values, tokens, lengths, self.rows, self.config, self.n_features
        )
        on = values > 0
        peaks = windows.peaks(features[on], values[on], tokens[on])
        self.moments["active_rows"].index_add_(0, peaks.features, torch.ones_like(peaks.features))
        self.best["top"].offer(peaks, peaks.values, windows)
        if "bottom" in self.best:
            # The lowest are found as the strongest of the negated; in the table they keep their sign.
            lows = windows.peaks(features[~on], -values[~on], tokens[~on])
            depths = lows.values
            turned = PeakActivations(lows.features, lows.rows, lows.positions, -depths)
            self.best["bottom"].offer(turned, depths, windows)
        # The key depends on the row's number in the corpus and the feature alone: another chunking, or a
        # resumed run, draws the same rows.
        draw = mixed(peaks.rows * self.n_features + peaks.features, self.config.seed)
        self.best["sample"].offer(peaks, draw, windows)
        self._draw_controls(len(rows), peaks)
        self.rows += len(rows)
        self.tokens += int(counted.sum())
        self.outliers += outliers

    def _count(self, features: Tensor, values: Tensor, ids: Tensor) -> None:
        on = values > 0
        wide = values.double()
        self.moments["active"].index_add_(0, features[on], torch.ones_like(features[on]))
        self.moments["sum"].index_add_(0, features, wide)
        self.moments["squares"].index_add_(0, features, wide.square())
        self.moments["highest"].scatter_reduce_(0, features, values, "amax")
        self.moments["lowest"].scatter_reduce_(0, features, values, "amin")
        self.histograms["positive"].add(features[on], values[on])
        if "negative" in self.histograms:
            low = values < 0
            self.histograms["negative"].add(features[low], -values[low])
        self.pairs.add(features[on], ids[on], values[on])

    def _draw_controls(self, rows: int, peaks: PeakActivations) -> None:
        """Keep the active features of the rows with the smallest draws."""
        numbers = torch.arange(self.rows, self.rows + rows)
        order = peaks.rows.argsort(stable=True)
        active = peaks.features[order].split(torch.bincount(peaks.rows - self.rows, minlength=rows).tolist())
        for row, draw, features in zip(
            numbers.tolist(), mixed(numbers, ~self.config.seed).tolist(), active, strict=True
        ):
            self.controls[row] = (draw, features)
        kept = sorted(self.controls, key=lambda row: self.controls[row][0])[: self.config.controls]
        self.controls = {row: self.controls[row] for row in kept}

    def flush(self) -> None:
        """Bring together what waits to be counted; between two blocks."""
        self.pairs.flush()

    def results(self) -> dict[str, Tensor]:
        """All that a `Survey` reads."""
        tensors = dict(self.moments) | {"seen": self.seen}
        tensors |= {f"pairs/{name}": part for name, part in self.pairs.table(self.n_features).items()}
        return tensors | self._shared()

    def state(self, *, contexts: bool = True) -> dict[str, Tensor]:
        """All that `restore` needs; without the contexts, which are most of it, that of the rest."""
        tensors = {f"moments/{name}": part for name, part in self.moments.items()} | {"seen": self.seen}
        tensors |= {f"pairs/{name}": part for name, part in self.pairs.state().items()}
        return (
            tensors
            | self._shared(contexts=contexts)
            | {"size": torch.tensor([self.rows, self.tokens, self.outliers])}
        )

    def take_changes(self) -> dict[str, Tensor]:
        """The contexts that have changed since the last call."""
        return {
            f"{name}/{key}": part
            for name, table in self.best.items()
            for key, part in table.take_changes().items()
        }

    def apply_changes(self, changes: Mapping[str, Tensor]) -> None:
        """Take what `take_changes` gave, one after the other in their order."""
        for name, table in self.best.items():
            table.apply_changes(_part(changes, name))

    def _shared(self, *, contexts: bool = True) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        for kept in (self.histograms, self.best) if contexts else (self.histograms,):
            for name, table in kept.items():
                tensors |= {f"{name}/{key}": part for key, part in table.state().items()}
        rows = sorted(self.controls)
        active = [self.controls[row][1] for row in rows]
        sizes = torch.tensor([0] + [len(features) for features in active])
        return tensors | {
            "controls/rows": torch.tensor(rows, dtype=torch.int64),
            "controls/draws": torch.tensor([self.controls[row][0] for row in rows], dtype=torch.float64),
            "controls/offsets": sizes.cumsum(0),
            "controls/features": torch.cat([torch.zeros(0, dtype=torch.int64), *active]),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on where another accumulator of the same features and settings stopped.

        A state without contexts leaves these as they are: they come by `apply_changes`.
        """

        def part(prefix: str) -> dict[str, Tensor]:
            return _part(state, prefix)

        self.moments, self.seen = part("moments"), state["seen"]
        self.rows, self.tokens, self.outliers = state["size"].tolist()
        self.pairs.restore(part("pairs"))
        for kept in (self.histograms, self.best):
            for name, table in kept.items():
                if own := part(name):
                    table.restore(own)
        controls = part("controls")
        active = controls["features"].split(controls["offsets"].diff().tolist())
        self.controls = {
            row: (draw, features)
            for row, draw, features in zip(
                controls["rows"].tolist(), controls["draws"].tolist(), active, strict=True
            )
        }


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


class _ActivationWindows:
    """The activations of a chunk of rows, to be looked up around a peak."""

    def __init__(
        self,
        features: Tensor,
        values: Tensor,
        tokens: Tensor,
        lengths: Tensor,
        first: int,
        config: SurveyConfig,
        n_features: int,
    ) -> None:
        self.lengths, self.first, self.config, self.n_features = lengths, first, config, n_features
        self.starts = lengths.cumsum(0) - lengths
        self.keys, order = (tokens * n_features + features).sort()
        self.values = values[order]

    def peaks(self, features: Tensor, values: Tensor, tokens: Tensor) -> PeakActivations:
        """The strongest token of each pair of row and feature; the earliest of equals."""
        row = torch.searchsorted(self.starts, tokens, right=True) - 1
        # Rows without tokens start where the next one does; the search finds the last, which has some.
        pair = row * self.n_features + features
        # By (row, feature), then by falling value, then by token: the first of each pair is its peak.
        order = tokens.argsort(stable=True)
        for by, falling in ((values, True), (pair, False)):
            order = order[by[order].argsort(stable=True, descending=falling)]
        pair = pair[order]
        first = torch.ones_like(pair, dtype=torch.bool)
        first[1:] = pair[1:] != pair[:-1]
        chosen = order[first]
        row = row[chosen]
        return PeakActivations(
            features[chosen], row + self.first, tokens[chosen] - self.starts[row], values[chosen]
        )

    def __call__(self, peaks: PeakActivations) -> Tensor:
        row = peaks.rows - self.first
        # peaks x window: positions in the row, some of which lie before its beginning or behind its end
        position = peaks.positions[:, None] + torch.arange(-self.config.before, self.config.after + 1)
        inside = (position >= 0) & (position < self.lengths[row][:, None])
        key = (self.starts[row][:, None] + position) * self.n_features + peaks.features[:, None]
        if not len(self.keys):
            return torch.zeros(key.shape)
        # A key that is not in the list is found where it would stand: there the feature is silent.
        place = torch.searchsorted(self.keys, key).clamp(max=len(self.keys) - 1)
        active = inside & (self.keys[place] == key)
        return torch.where(active, self.values[place], 0.0)

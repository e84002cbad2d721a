"""What a survey found, read from disk feature by feature."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.errors import DataError, StoreError
from mindscope.explain.survey.histogram import edges
from mindscope.features import OutlierLimits
from mindscope.store import OpenArtifact, read_json

SCHEMA, VERSION = "mindscope.survey", 2
"""Version 1 kept the activations of contexts themselves, in half precision, and counted outliers."""
ROWS_SCHEMA, ROWS_VERSION = "mindscope.survey_rows", 1
FILE, VOCABULARY = "survey/survey.safetensors", "survey/vocabulary.json"
ROWS = "survey/rows/{:05}.safetensors"


@dataclass(frozen=True)
class ActivationContext:
    """A stretch of a row, and how active one feature is on each of its tokens.

    Attributes:
        row: in the corpus, counted from 0.
        start: the position in the row of the first token shown.
        peak: the index in `ids` of the token where the feature is strongest in the row.
        ids, tokens, activations: one each a token shown.
    """

    row: int
    start: int
    peak: int
    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    activations: tuple[float, ...]

    @property
    def value(self) -> float:
        """The activation at the peak."""
        return self.activations[self.peak]

    @property
    def text(self) -> str:
        return "".join(self.tokens)


class TokenUse(NamedTuple):
    """A feature on a token of the vocabulary."""

    token: int
    feature: int
    times: int
    """How often the feature is active there."""
    sum: float
    highest: float
    precision: float
    """The share of the feature's active tokens that are this one."""
    recall: float
    """The share of this token's occurrences on which the feature is active."""

    @property
    def f1(self) -> float:
        return 2 * self.precision * self.recall / (self.precision + self.recall)


@dataclass(frozen=True)
class MagnitudeHistogram:
    """`counts[i]` activations between `edges[i]` and `edges[i + 1]`; zeros are not counted."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class FeatureActivity:
    """When one feature is active.

    Attributes:
        feature: its index.
        density: the share of all tokens on which its activation is above 0.
        row_density: the share of all rows that have such a token.
        mean: of the activations above 0 (of all tokens, for signed features).
        highest, lowest: over all tokens.
        top: the strongest contexts, one a row, strongest first.
        bottom: the lowest contexts of a signed feature.
        sample: contexts of rows drawn at random from all in which it is active, strongest first.
    """

    feature: int
    name: str
    density: float
    row_density: float
    mean: float
    highest: float
    lowest: float
    histogram: MagnitudeHistogram
    top: tuple[ActivationContext, ...]
    bottom: tuple[ActivationContext, ...]
    sample: tuple[ActivationContext, ...]

    def quantiles(
        self, groups: int = 5, per_group: int = 5
    ) -> list[tuple[str, tuple[ActivationContext, ...]]]:
        """The sample in equal groups by rank, strongest first, with `per_group` contexts of each."""
        labelled: list[tuple[str, tuple[ActivationContext, ...]]] = []
        for index in range(groups):
            first, last = (len(self.sample) * edge // groups for edge in (index, index + 1))
            members = self.sample[first:last]
            step = max(1, len(members) // per_group)
            high, low = (100 - 100 * edge // groups for edge in (index, index + 1))
            if members:
                labelled.append((f"{low}–{high} %", members[::step][:per_group]))
        return labelled


@dataclass(frozen=True)
class SurveyStatistics:
    """One number a feature, of all features; see `FeatureActivity`."""

    density: Float[Tensor, "features"]
    row_density: Float[Tensor, "features"]
    mean: Float[Tensor, "features"]
    highest: Float[Tensor, "features"]
    lowest: Float[Tensor, "features"]

    @property
    def dead(self) -> Tensor:
        """`[features]`, whether a feature is active nowhere in the corpus."""
        return self.density == 0


class Survey:
    """A finished survey in its run folder; `open` reads almost nothing, each method what it needs.

    Attributes:
        path: the run folder.
        metadata: model, fingerprint, features, settings, how many rows and tokens were read.
    """

    def __init__(self, path: Path, file: OpenArtifact) -> None:
        self.path, self._file = path, file
        self.metadata: dict[str, Any] = file.metadata
        self.n_features = file.shape("active")[0]
        self.before: int = file.metadata["config"]["before"]
        self._blocks: dict[int, OpenArtifact] = {}

    @classmethod
    def open(cls, path: Path | str, *, fingerprint: str | None = None) -> "Survey":
        """Open the survey of a run folder.

        Raises:
            StoreError: there is none, it is not finished, damaged, or of another model.
        """
        path = Path(path)
        if not (path / FILE).is_file():
            raise StoreError(f"{path} holds no finished survey: make one with `mindscope feature survey`")
        return cls(
            path, OpenArtifact.open(path / FILE, schema=SCHEMA, version=VERSION, fingerprint=fingerprint)
        )

    @property
    def limits(self) -> OutlierLimits:
        """How long ordinary tokens are: others were not counted."""
        return OutlierLimits(self.metadata.get("limits", {}))

    @cached_property
    def vocabulary(self) -> list[str]:
        """What each token id adds to a text."""
        return read_json(self.path / VOCABULARY)

    @cached_property
    def statistics(self) -> SurveyStatistics:
        """Of all features."""
        tokens, rows = self.metadata["tokens"], self.metadata["rows"]
        active = self._file.rows("active")
        among = torch.full_like(active, tokens) if self.metadata["signed"] else active
        return SurveyStatistics(
            density=(active / tokens).float(),
            row_density=(self._file.rows("active_rows") / rows).float(),
            mean=(self._file.rows("sum") / among.clamp(min=1)).float(),
            highest=self._file.rows("highest"),
            lowest=self._file.rows("lowest"),
        )

    def name(self, feature: int) -> str:
        """What people call a feature; DataError where there is none of this number."""
        if not 0 <= feature < self.n_features:
            raise DataError(f"there is no feature {feature}: this survey has 0 to {self.n_features - 1}")
        return self.metadata["names"][feature]

    def feature(self, feature: int) -> FeatureActivity:
        """When one feature is active."""
        name, statistics = self.name(feature), self.statistics
        return FeatureActivity(
            feature=feature,
            name=name,
            density=statistics.density[feature].item(),
            row_density=statistics.row_density[feature].item(),
            mean=statistics.mean[feature].item(),
            highest=statistics.highest[feature].item(),
            lowest=statistics.lowest[feature].item(),
            histogram=self._histogram(feature),
            top=self.contexts(feature),
            bottom=self.contexts(feature, "bottom") if self.metadata["signed"] else (),
            sample=tuple(sorted(self.contexts(feature, "sample"), key=lambda context: -context.value)),
        )

    def contexts(
        self, feature: int, kind: Literal["top", "bottom", "sample"] = "top", count: int | None = None
    ) -> tuple[ActivationContext, ...]:
        """The first contexts of a kind: strongest first, lowest first, or in the order of the draw."""
        rows, positions, windows = (
            self._file.rows(f"{kind}/{name}", feature, feature + 1)[0, :count]
            for name in ("rows", "positions", "windows")
        )
        if self.metadata["version"] > 1:
            scales = self._file.rows(f"{kind}/scales", feature, feature + 1)[0, :count]
            windows = windows.float() * scales[:, None]
        contexts: list[ActivationContext] = []
        for row, position, window in zip(rows.tolist(), positions.tolist(), windows.tolist(), strict=True):
            if row < 0:
                continue
            ids = self.ids(row)
            start = max(0, position - self.before)
            values = window[start - position + self.before :][: len(ids) - start]
            contexts.append(
                self._context(row, start, position - start, ids[start : start + len(values)], values)
            )
        return tuple(contexts)

    def tokens_of(self, feature: int, count: int = 10) -> list[TokenUse]:
        """The tokens on which a feature is most active in all, by the sum of its activations."""
        self.name(feature)
        first, last = self._file.rows("pairs/offsets", feature, feature + 2).tolist()
        uses = self._pairs(torch.arange(first, last))
        return sorted(uses, key=lambda use: -use.sum)[:count]

    def uses(self, feature: int, tokens: Collection[int]) -> list[TokenUse]:
        """A feature on each of these tokens; those on which it is never active are left out."""
        first, last = self._file.rows("pairs/offsets", feature, feature + 2).tolist()
        own_tokens = self._file.rows("pairs/tokens", first, last)
        asked = torch.isin(own_tokens, torch.tensor(list(tokens), dtype=own_tokens.dtype))
        return self._pairs(first + asked.nonzero()[:, 0])

    def features_of(self, token: int, count: int = 10) -> list[TokenUse]:
        """The features that mean a token best: by the F1 of being active where, and only where, it stands."""
        if not 0 <= token < len(self.vocabulary):
            raise DataError(f"there is no token {token}: the vocabulary has {len(self.vocabulary)}")
        first, last = self._file.rows("pairs/token_offsets", token, token + 2).tolist()
        uses = self._pairs(self._file.rows("pairs/by_token", first, last))
        return sorted(uses, key=lambda use: -use.f1)[:count]

    def silent(self, feature: int, count: int = 10) -> list[ActivationContext]:
        """Stretches of rows in which a feature is nowhere active, drawn at random; its activations are 0."""
        self.name(feature)
        rows, offsets = self._file.rows("controls/rows"), self._file.rows("controls/offsets")
        active = self._file.rows("controls/features")
        firing = torch.zeros(len(rows), dtype=torch.bool)
        firing[torch.searchsorted(offsets, (active == feature).nonzero()[:, 0], right=True) - 1] = True
        draws = self._file.rows("controls/draws")
        order = [i for i in draws.argsort().tolist() if not firing[i]][:count]
        after: int = self.metadata["config"]["after"]
        contexts: list[ActivationContext] = []
        for i in order:
            ids = self.ids(int(rows[i]))
            if ids:
                middle = int(draws[i] * 1e6) % len(ids)  # anywhere in the row, always the same
                start = max(0, middle - self.before)
                shown = ids[start : middle + after + 1]
                contexts.append(self._context(int(rows[i]), start, middle - start, shown, [0.0] * len(shown)))
        return contexts

    def ids(self, row: int) -> tuple[int, ...]:
        """The tokens of a row of the corpus."""
        block, place = divmod(row, self.metadata["config"]["block_rows"])
        file = self._block(block)
        first, last = file.rows("offsets", place, place + 2).tolist()
        return tuple(file.rows("ids", first, last).tolist())

    def _block(self, block: int) -> OpenArtifact:
        if block not in self._blocks:
            self._blocks[block] = OpenArtifact.open(
                self.path / ROWS.format(block), schema=ROWS_SCHEMA, version=ROWS_VERSION,
                fingerprint=self.metadata["fingerprint"],
            )  # fmt: skip
        return self._blocks[block]

    def occurrences(self, token: int) -> int:
        """How often a token stands in the corpus."""
        return int(self._seen[token])

    @cached_property
    def _seen(self) -> Int[Tensor, "vocabulary"]:
        return self._file.rows("seen")

    @cached_property
    def _active(self) -> Int[Tensor, "features"]:
        return self._file.rows("active")

    def _pairs(self, places: Int[Tensor, "pairs"]) -> list[TokenUse]:
        if not len(places):
            return []
        # Neighbours in the file come with one read; those of a token lie apart.
        first, last = int(places.min()), int(places.max()) + 1
        part = {
            name: self._file.rows(f"pairs/{name}", first, last)[places - first].tolist()
            for name in ("tokens", "features", "counts", "sums", "highest")
        }
        uses: list[TokenUse] = []
        for token, feature, count, total, highest in zip(*part.values(), strict=True):
            precision, recall = count / int(self._active[feature]), count / int(self._seen[token])
            uses.append(TokenUse(token, feature, count, total, highest, precision, recall))
        return uses

    def _histogram(self, feature: int) -> MagnitudeHistogram:
        def side(name: str) -> tuple[list[float], list[int]]:
            exponent = int(self._file.rows(f"{name}/exponents", feature, feature + 1))
            return edges(exponent), self._file.rows(f"{name}/counts", feature, feature + 1)[0].tolist()

        ends, counts = side("positive")
        if self.metadata["signed"]:
            low_ends, low_counts = side("negative")
            ends = [-end for end in reversed(low_ends[1:])] + ends
            counts = low_counts[::-1] + counts
        return MagnitudeHistogram(tuple(ends), tuple(counts))

    def _context(
        self, row: int, start: int, peak: int, ids: Sequence[int], values: Sequence[float]
    ) -> ActivationContext:
        tokens = tuple(self.vocabulary[i] for i in ids)
        return ActivationContext(row, start, peak, tuple(ids), tokens, tuple(values))

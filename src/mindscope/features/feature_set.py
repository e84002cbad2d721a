"""Features that are read together in one pass, whatever they are and however many models they span."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import DataError
from mindscope.features.bank import BankFeature, written_directions
from mindscope.features.direction import Direction
from mindscope.features.feature import Feature
from mindscope.features.site import (
    Engines,
    Loaded,
    Site,
    join_fingerprints,
    match_models,
    require_same_tokenizer,
)
from mindscope.features.sparse_code import SparseCode
from mindscope.models import Apply, Project, Raw, Read, Row, Where


@dataclass(frozen=True, eq=False)
class _ComputedTogether:
    """Features that one operation computes.

    Attributes:
        columns: their places in the set.
        sites: what they read, as indices of the set's `reads`.
        compute: `[tokens, d_in]`, these sites side by side, to `[tokens, columns]`.
        units: `[columns, width]`, where they are plain directions.
    """

    columns: list[int]
    sites: tuple[int, ...]
    compute: Callable[[Tensor], Tensor]
    units: Tensor | None = None


class FeatureSet(Sequence[Feature]):
    """Features that are read together: one pass a model, one operation for all features of a bank.

    It is a `FeatureBank` of its own: it can be surveyed and explained like the latents of a dictionary.

    Raises DataError where there are none, or two have one name and place.
    """

    signed = True

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = tuple(features)
        if not features:
            raise DataError("there is no feature to read: give at least one")
        names = _number_models(self._features)
        self.models: dict[str, str] = {name: fingerprint for fingerprint, name in names.items()}
        """Fingerprints of the models, by the names `0`, `1`, … in the order in which features name them."""
        own = [
            tuple(replace(site, model=names[feature.models[site.model]]) for site in feature.reads)
            for feature in self._features
        ]
        self.keys = tuple(
            f"{feature.name}@{'+'.join(site.name for site in sites)}"
            for feature, sites in zip(self._features, own, strict=True)
        )
        """What a feature is called in results: `NAME@ADDRESS`, of a second model `NAME@1:ADDRESS`."""
        if len(set(self.keys)) < len(self.keys):
            raise DataError("two features have the same name and address: give each once")
        self.reads: tuple[Site, ...] = tuple(dict.fromkeys(site for sites in own for site in sites))
        self._groups = _group_features(self._features, own, self.reads)

    def __getitem__(self, index):  # type: ignore[override]
        return self._features[index]

    def __len__(self) -> int:
        return len(self._features)

    def __iter__(self) -> Iterator[Feature]:
        return iter(self._features)

    @property
    def n_features(self) -> int:
        return len(self)

    @property
    def fingerprint(self) -> str:
        return join_fingerprints(self.models.values())

    @property
    def writes(self) -> tuple[Site, ...]:
        return tuple(self.decoder_rows())

    def name(self, feature: int) -> str:
        return self.keys[feature]

    def match(self, models: Loaded | Sequence[Loaded] | Mapping[str, Loaded]) -> dict[str, Loaded]:
        """The models by their names here; DataError unless the features were fitted on these very models."""
        named = match_models(self.models, models, f"{self.keys[0]} was fitted on")
        require_same_tokenizer(named)
        return named

    def digest(self) -> str:
        """A short name for exactly these features in this order; computed once."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        text = "\n".join(f"{key} {feature.digest()}" for key, feature in zip(self.keys, self, strict=True))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def encode(self, activations: Float[Tensor, "tokens d_in"]) -> SparseCode:
        """All features on every token; those that are zero there are left out."""
        return SparseCode.of(self.values(activations, range(len(self))))

    def values(
        self, activations: Float[Tensor, "tokens d_in"], features: Sequence[int]
    ) -> Float[Tensor, "tokens k"]:
        """Some features on every token. What a group shares is computed once."""
        parts = activations.split([site.width for site in self.reads], dim=1)
        table = activations.new_zeros(len(activations), len(self), dtype=torch.float32)
        for group in self._groups:
            if set(group.columns) & set(features):
                table[:, group.columns] = group.compute(torch.cat([parts[i] for i in group.sites], dim=1))
        return table[:, list(features)]

    def decoder_rows(self, features: Sequence[int] | None = None) -> dict[Site, Float[Tensor, "k _"]]:
        """What features write: the vector of the edit that raises each by 1."""
        chosen = list(range(len(self)) if features is None else features)
        names = {fingerprint: name for name, fingerprint in self.models.items()}
        tables: dict[Site, Tensor] = {}
        for row, index in enumerate(chosen):
            for direction in self._written(index):
                vector = direction.vector.detach().float().cpu()
                site = Site(direction.address, len(vector), names[direction.fingerprint])
                tables.setdefault(site, torch.zeros(len(chosen), len(vector)))[row] = vector
        return tables

    def build_reads(self, where: Where, model: str) -> dict[str, Read]:
        """What to read of one of the models, of every token of `where`; `assemble` makes values of it."""
        reads: dict[str, Read] = {}
        for number, group in enumerate(self._groups):
            for site in group.sites:
                address = self.reads[site].address
                if self.reads[site].model != model:
                    continue
                # A group that reads one site is computed within the pass; one that reads several waits
                # until all of them are there.
                reads[f"{number}/{site}"] = Read(address, _reduce(group, where))
        return reads

    def read(
        self,
        models: Engines,
        rows: Sequence[Row],
        *,
        where: Where = "all",
        progress: Callable[[int, int], object] | None = None,
    ) -> list[Float[Tensor, "_ features"]]:
        """The features at every token of `where` of each row; every model reads the rows once.

        Args:
            models: those that the features were fitted on.
            rows: the same for all models.
            where: which tokens.
            progress: called with (rows done, rows in all) over all models.

        Raises:
            DataError: a model is missing, or is another one.
        """
        named = self.match(models)
        readings: dict[str, Sequence[Tensor]] = {}
        for done, (name, model) in enumerate(named.items()):
            step = _shift_progress(progress, done * len(rows), len(named) * len(rows))
            read = model.read(rows, self.build_reads(where, name), progress=step)
            readings |= {key: list(reading.values) for key, reading in read.items()}
        return [
            self.assemble({key: values[row] for key, values in readings.items()}) for row in range(len(rows))
        ]

    def assemble(self, readings: Mapping[str, Tensor]) -> Float[Tensor, "tokens features"]:
        """What the reads of all models gave for the same tokens, as one table."""
        table: Tensor | None = None
        for number, group in enumerate(self._groups):
            parts = [readings[f"{number}/{site}"] for site in group.sites]
            columns = parts[0] if len(parts) == 1 else group.compute(torch.cat(parts, dim=1))
            if len(group.columns) == len(self):  # the only one, whose columns are in order
                return columns.float()
            table = torch.empty(len(columns), len(self), dtype=torch.float32) if table is None else table
            table[:, group.columns] = columns
        assert table is not None
        return table

    def _written(self, index: int) -> tuple[Direction, ...]:
        feature = self._features[index]
        if isinstance(feature, BankFeature):
            return written_directions(feature.bank, feature.index)
        edit, (fingerprint, *_) = feature.edit(1.0), feature.models.values()
        return (Direction(feature.name, edit.address, edit.vector * edit.value, fingerprint),)


def _number_models(features: Sequence[Feature]) -> dict[str, str]:
    """Fingerprint to name."""
    fingerprints = dict.fromkeys(feature.models[site.model] for feature in features for site in feature.reads)
    return {fingerprint: str(number) for number, fingerprint in enumerate(fingerprints)}


def _group_features(
    features: Sequence[Feature], own: Sequence[tuple[Site, ...]], reads: Sequence[Site]
) -> list[_ComputedTogether]:
    """Directions of a site, features of a bank, and the others of a site: one group each."""
    members: dict[object, list[int]] = {}
    for column, (feature, sites) in enumerate(zip(features, own, strict=True)):
        bank = feature.bank if isinstance(feature, BankFeature) else None
        members.setdefault((isinstance(feature, Direction), bank, sites), []).append(column)
    groups: list[_ComputedTogether] = []
    for columns in members.values():
        sites = tuple(reads.index(site) for site in own[columns[0]])
        chosen = [features[column] for column in columns]
        units = [feature.unit for feature in chosen if isinstance(feature, Direction)]
        if units:
            groups.append(_ComputedTogether(columns, sites, _project(torch.stack(units)), torch.stack(units)))
        else:
            groups.append(_ComputedTogether(columns, sites, _compute(chosen)))
    return groups


def _shift_progress(
    progress: Callable[[int, int], object] | None, done: int, total: int
) -> Callable[[int, int], object] | None:
    return None if progress is None else lambda step, _: progress(done + step, total)


def _reduce(group: _ComputedTogether, where: Where) -> Project | Apply | Raw:
    if len(group.sites) > 1:
        return Raw(where)
    if group.units is not None:
        return Project(group.units, where)
    return Apply(group.compute, len(group.columns), where)


def _project(units: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda tokens: tokens.float() @ units.to(tokens.device).T


def _compute(features: Sequence[Feature]) -> Callable[[Tensor], Tensor]:
    first = features[0]
    if isinstance(first, BankFeature):
        bank, indices = first.bank, [f.index for f in features if isinstance(f, BankFeature)]
        return lambda tokens: bank.values(tokens, indices).float()
    return lambda tokens: torch.stack([feature.project(tokens).float() for feature in features], -1)

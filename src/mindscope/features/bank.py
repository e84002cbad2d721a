"""Many features that are read and written together: the latents of a dictionary, a set of directions."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.engines import Engine, ParallelEngine
from mindscope.errors import DataError
from mindscope.features.direction import Direction
from mindscope.features.site import Engines, Site, match_models, require_same_tokenizer
from mindscope.features.sparse_code import SparseCode
from mindscope.models import Edit, Positions, Raw, Read, Reading, Row


@runtime_checkable
class FeatureBank(Protocol):
    """Features that share what they read: whoever monitors, explains, traces or evaluates works with this.

    Activations are `[tokens, d_in]`: what was read at the sites of `reads`, side by side in their order.
    """

    @property
    def n_features(self) -> int: ...

    @property
    def signed(self) -> bool:
        """Whether activations can be negative."""
        ...

    @property
    def reads(self) -> tuple[Site, ...]: ...

    @property
    def writes(self) -> tuple[Site, ...]: ...

    @property
    def models(self) -> Mapping[str, str]:
        """The fingerprints of the models that the features belong to, by the names that the sites have."""
        ...

    @property
    def fingerprint(self) -> str:
        """The model's; of several models, all of theirs as one text."""
        ...

    def name(self, feature: int) -> str:
        """What people call a feature."""
        ...

    def digest(self) -> str:
        """A short name for exactly these features."""
        ...

    def encode(self, activations: Float[Tensor, "tokens d_in"]) -> SparseCode:
        """All features on every token."""
        ...

    def values(
        self, activations: Float[Tensor, "tokens d_in"], features: Sequence[int]
    ) -> Float[Tensor, "tokens k"]:
        """Some features on every token: only their columns, where the activation function lets them alone."""
        ...

    def decoder_rows(self, features: Sequence[int] | None = None) -> dict[Site, Float[Tensor, "k _"]]:
        """What features write, a row each, by site; zeros for those that write nothing there.

        Args:
            features: whose rows; of all features if left out. Float32 on the CPU.
        """
        ...


@dataclass(frozen=True, slots=True)
class BankFeature:
    """One feature of a bank as a `Feature`: monitored, calibrated and steered like any other.

    Features of the same bank are read together by a `FeatureSet`: sixteen of them cost one encode.
    """

    bank: FeatureBank
    index: int
    name: str

    @property
    def reads(self) -> tuple[Site, ...]:
        return self.bank.reads

    @property
    def models(self) -> Mapping[str, str]:
        return self.bank.models

    def project(self, activations: Float[Tensor, "*tokens d_in"]) -> Float[Tensor, "*tokens"]:
        """The feature's activation on every token."""
        tokens = activations.reshape(-1, activations.shape[-1])
        return self.bank.values(tokens, [self.index])[:, 0].view(activations.shape[:-1])

    def edit(self, value: float | int, where: Positions = "answer") -> Edit:
        """What the feature writes at an activation of `value`, added where it writes.

        Raises:
            DataError: a feature that writes several sites; see `feature_edits`.
        """
        written = written_directions(self.bank, self.index)
        if len(written) != 1:
            raise DataError(
                f"{self.name} writes {len(written)} sites, which one edit cannot: use "
                "feature_edits(bank, index, value)"
            )
        return written[0].edit(value, where)

    def digest(self) -> str:
        return hashlib.blake2b(f"{self.bank.digest()} {self.index}".encode(), digest_size=16).hexdigest()


def written_directions(bank: FeatureBank, feature: int) -> tuple[Direction, ...]:
    """Where a feature writes, one direction a site; sites at which it writes nothing are left out."""
    return tuple(
        Direction(bank.name(feature), site.address, rows[0], bank.models[site.model])
        for site, rows in bank.decoder_rows([feature]).items()
        if rows.any()
    )


def feature_edits(
    bank: FeatureBank, feature: int, value: float | int, where: Positions = "answer"
) -> dict[str, tuple[Edit, ...]]:
    """What a feature writes at an activation of `value`, as edits for each model that it writes in."""
    edits: dict[str, tuple[Edit, ...]] = {}
    for site, rows in bank.decoder_rows([feature]).items():
        if rows.any():
            edit = Edit(site.address, "add", rows[0], value, where)
            edits[site.model] = (*edits.get(site.model, ()), edit)
    return edits


def read_activations(
    sites: Sequence[Site], models: Mapping[str, str | None], loaded: Engines, rows: Sequence[Row]
) -> Float[Tensor, "tokens d_in"]:
    """What models have at some sites on every token of the rows, one row after the other.

    Args:
        sites: side by side in the result.
        models: the fingerprints of the models that the sites belong to.
        loaded: these models; each reads the rows once.
        rows: the same for all models.

    Raises:
        DataError: a model is missing or another one.
    """
    return next(read_activations_of(sites, models, loaded, [rows]))


def read_activations_of(
    sites: Sequence[Site],
    models: Mapping[str, str | None],
    loaded: Engines,
    chunks: Sequence[Sequence[Row]],
) -> Iterator[Float[Tensor, "tokens d_in"]]:
    """The same of several chunks of rows, one after the other; an engine that can reads several at a time."""
    named = match_models(models, loaded, "these features belong to")
    require_same_tokenizer(named)
    # by model what each chunk gave, in the order of the chunks
    streams = {
        name: _read_chunks(model, chunks, [site for site in sites if site.model == name])
        for name, model in named.items()
    }
    for _ in chunks:
        columns: dict[Site, Tensor] = {}
        for name, stream in streams.items():
            readings = next(stream)
            columns |= {
                site: torch.cat(list(readings[site.address].values)) for site in sites if site.model == name
            }
        yield torch.cat([columns[site] for site in sites], dim=1)


def _read_chunks(
    model: Engine, chunks: Iterable[Sequence[Row]], sites: Sequence[Site]
) -> Iterator[Mapping[str, Reading]]:
    reads = {site.address: Read(site.address, Raw("all")) for site in sites}
    if reads and isinstance(model, ParallelEngine):
        yield from model.read_many(chunks, reads)
        return
    for rows in chunks:
        yield model.read(rows, reads) if reads else {}


def encode_rows(bank: FeatureBank, loaded: Engines, rows: Sequence[Row]) -> SparseCode:
    """The activations of all features on every token of the rows, one row after the other."""
    return bank.encode(read_activations(bank.reads, bank.models, loaded, rows))


def require_models(bank: FeatureBank, loaded: Engines) -> None:
    """Raises DataError unless these are the very models that the features belong to."""
    match_models(bank.models, loaded, "these features belong to")

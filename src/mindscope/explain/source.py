"""Features of any kind as one thing: rows go in, a sparse code over their tokens comes out."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.dictionaries import Dictionary, SparseCode
from mindscope.errors import DataError
from mindscope.features import Direction, Feature, FeatureSet
from mindscope.models import Edit, Model, Raw, Read, Row, Where


@runtime_checkable
class FeatureBank(Protocol):
    """What can be explained: latents of a dictionary, persona vectors, linear classifiers."""

    @property
    def n_features(self) -> int: ...

    @property
    def signed(self) -> bool:
        """Whether activations can be negative."""
        ...

    @property
    def fingerprint(self) -> str:
        """The model's."""
        ...

    def name(self, feature: int) -> str:
        """What people call a feature."""
        ...

    def digest(self) -> str:
        """A short name for exactly these features."""
        ...

    def code(self, model: Model, rows: Sequence[Row]) -> SparseCode:
        """The activations on every token of the rows, one row after the other."""
        ...

    def writes(self, feature: int) -> tuple[Direction, ...]:
        """Where a feature writes, one direction an address."""
        ...

    def decoders(self) -> dict[str, Float[Tensor, "features width"]]:
        """What all features write, by address; zeros for those that write nothing there."""
        ...


@dataclass(frozen=True)
class DictionaryFeatures:
    """The latents of a dictionary that is bound to a model.

    Raises:
        DataError: nobody knows whose dictionary it is, or it reads several models.
    """

    dictionary: Dictionary
    signed = False

    def __post_init__(self) -> None:
        owners = {site.fingerprint for site in (*self.dictionary.reads, *self.dictionary.writes)}
        if owners == {None}:
            raise DataError("nobody knows whose dictionary this is: bind it to its model with .bind(model)")
        if len(owners) > 1:
            raise DataError(
                "this dictionary reads several models: explain the part that belongs to one of them"
            )

    @property
    def n_features(self) -> int:
        return self.dictionary.n_latents

    @property
    def fingerprint(self) -> str:
        return str(self.dictionary.reads[0].fingerprint)

    def name(self, feature: int) -> str:
        coder, row = self.dictionary.locate(feature)
        read = self.dictionary.reads[self.dictionary.wiring[coder].reads[0]]
        return f"{read.address}/{row}"

    def digest(self) -> str:
        digest = hashlib.blake2b(
            repr((self.dictionary.reads, self.dictionary.writes)).encode(), digest_size=16
        )
        for coder in self.dictionary.coders:
            for name, tensor in sorted(coder.tensors().items()):
                digest.update(name.encode() + tensor.detach().cpu().float().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def code(self, model: Model, rows: Sequence[Row]) -> SparseCode:
        reads = {site.address: Read(site.address, Raw("all")) for site in self.dictionary.reads}
        readings = model.read(rows, reads)
        joined = [torch.cat(list(readings[site.address].values)) for site in self.dictionary.reads]
        return self.dictionary.encode(self.dictionary.join(joined))

    def writes(self, feature: int) -> tuple[Direction, ...]:
        return self.dictionary.latent(feature).writes

    def decoders(self) -> dict[str, Float[Tensor, "features width"]]:
        found: dict[str, Tensor] = {}
        for index, (coder, wiring) in enumerate(
            zip(self.dictionary.coders, self.dictionary.wiring, strict=True)
        ):
            mine = self.dictionary.latents(index)
            widths = [self.dictionary.writes[at].width for at in wiring.writes]
            for at, rows in zip(wiring.writes, coder.W_dec.split(widths, dim=1), strict=True):
                site = self.dictionary.writes[at]
                every = found.setdefault(site.address, torch.zeros(self.n_features, site.width))
                every[mine.start : mine.stop] = rows.detach().float().cpu()
        return found


@dataclass(frozen=True)
class FeatureList:
    """Features that stand for themselves: persona vectors, weights of linear classifiers, chosen latents.

    The activation on a token is what `Feature.project` gives, which for a direction can be negative.
    """

    features: FeatureSet
    signed = True

    @classmethod
    def of(cls, *features: Feature) -> "FeatureList":
        """Raises DataError where there are none, two are alike, or they are of different models."""
        return cls(FeatureSet(features))

    @property
    def n_features(self) -> int:
        return len(self.features)

    @property
    def fingerprint(self) -> str:
        return self.features.fingerprint

    def name(self, feature: int) -> str:
        return self.features.keys[feature]

    def digest(self) -> str:
        return self.features.digest()

    def code(self, model: Model, rows: Sequence[Row]) -> SparseCode:
        readings = model.read(rows, self.features.reads("all"))
        tokens = {address: torch.cat(list(reading.values)) for address, reading in readings.items()}
        return SparseCode.of(self.features.assembled(tokens))

    def writes(self, feature: int) -> tuple[Direction, ...]:
        edit = self.features[feature].edit(1.0)
        vector = edit.vector.detach().float().cpu() * edit.value
        return (Direction(self.features[feature].name, edit.address, vector, self.fingerprint),)

    def decoders(self) -> dict[str, Float[Tensor, "features width"]]:
        found: dict[str, Tensor] = {}
        for index in range(self.n_features):
            (written,) = self.writes(index)
            every = found.setdefault(written.address, torch.zeros(self.n_features, len(written.vector)))
            every[index] = written.vector
        return found


@dataclass(frozen=True)
class LatentFeature:
    """One latent of a dictionary as a `features.Feature`: watched, calibrated and steered like any other.

    Raises:
        DataError: a dictionary of several coders, reads or writes, or of an unknown model; a dead latent.
    """

    dictionary: Dictionary
    latent: int

    def __post_init__(self) -> None:
        if self.dictionary.kind not in ("sae", "transcoder"):
            raise DataError(
                f"a latent of a {self.dictionary.kind} has no single place: watch SAEs and transcoders"
            )
        self.dictionary.latent(self.latent)

    @property
    def name(self) -> str:
        return f"latent {self.latent}"

    @property
    def address(self) -> str:
        """Where it is read."""
        return self.dictionary.reads[0].address

    @property
    def fingerprint(self) -> str:
        return self._written.fingerprint

    @property
    def _written(self) -> Direction:
        return self.dictionary.latent(self.latent).write

    def project(self, activations: Float[Tensor, "*tokens width"]) -> Float[Tensor, "*tokens"]:
        """The latent's activation; of a TopK dictionary it depends on all latents."""
        tokens = activations.reshape(-1, activations.shape[-1]).float()
        code = self.dictionary.encode(tokens.to(self.dictionary.b_dec.device))
        values = code.of_latents(self.latent, self.latent + 1).dense()[:, 0]
        return values.view(activations.shape[:-1])

    def edit(self, value: float | int, where: Where | tuple[int, ...] = "answer") -> Edit:
        """What the latent writes at an activation of `value`, added where it writes."""
        return self._written.edit(value, where)

    def digest(self) -> str:
        return hashlib.blake2b(
            f"{DictionaryFeatures(self.dictionary).digest()} {self.latent}".encode(), digest_size=16
        ).hexdigest()


def require(features: FeatureBank, model: Model) -> None:
    """Raises DataError unless the features belong to this very model."""
    if features.fingerprint != model.fingerprint:
        raise DataError(
            f"these features come from another model ({features.fingerprint[:12]}) than "
            f"{model.name} ({model.fingerprint[:12]}): load the model they belong to"
        )

"""Features of any kind as one thing: rows go in, a sparse code over their tokens comes out."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.dictionaries import Dictionary, SparseCode
from mindscope.errors import DataError
from mindscope.features import Direction
from mindscope.models import Model, Project, Raw, Read, Row


class Features(Protocol):
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
class DirectionFeatures:
    """Directions as features: persona vectors, or the weights of linear classifiers.

    The activation on a token is its projection on the unit vector, which can be negative.

    Raises:
        DataError: none are given, or they belong to several models.
    """

    directions: tuple[Direction, ...]
    signed = True

    def __post_init__(self) -> None:
        if len({direction.fingerprint for direction in self.directions}) != 1:
            raise DataError("directions to be explained together must belong to one model")

    @property
    def n_features(self) -> int:
        return len(self.directions)

    @property
    def fingerprint(self) -> str:
        return self.directions[0].fingerprint

    def name(self, feature: int) -> str:
        direction = self.directions[feature]
        return f"{direction.name} at {direction.address}"

    def digest(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for direction in self.directions:
            digest.update(f"{direction.name} {direction.address}".encode())
            digest.update(direction.vector.detach().cpu().float().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def code(self, model: Model, rows: Sequence[Row]) -> SparseCode:
        places = list(dict.fromkeys(direction.address for direction in self.directions))
        at = {place: [i for i, one in enumerate(self.directions) if one.address == place] for place in places}
        reads = {
            place: Read(place, Project(torch.stack([self.directions[i].unit for i in at[place]]), "all"))
            for place in places
        }
        readings = model.read(rows, reads)
        dense = torch.zeros(sum(len(row) for row in rows), self.n_features)
        for place, indices in at.items():
            dense[:, indices] = torch.cat(list(readings[place].values))
        return SparseCode.of(dense)

    def writes(self, feature: int) -> tuple[Direction, ...]:
        return (self.directions[feature],)

    def decoders(self) -> dict[str, Float[Tensor, "features width"]]:
        found: dict[str, Tensor] = {}
        for index, direction in enumerate(self.directions):
            width = len(direction.vector)
            every = found.setdefault(direction.address, torch.zeros(self.n_features, width))
            every[index] = direction.vector.detach().float().cpu()
        return found


def require(features: Features, model: Model) -> None:
    """Raises DataError unless the features belong to this very model."""
    if features.fingerprint != model.fingerprint:
        raise DataError(
            f"these features come from another model ({features.fingerprint[:12]}) than "
            f"{model.name} ({model.fingerprint[:12]}): load the model they belong to"
        )

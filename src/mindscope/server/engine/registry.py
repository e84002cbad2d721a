"""The vectors of a server by name: those it was started with, uploaded ones, latents of dictionaries."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mindscope.errors import DataError, MindscopeError, ModelError
from mindscope.features import BankFeature, Direction, Feature, compile_steering
from mindscope.jobs import SteeringNames
from mindscope.models import Edit

if TYPE_CHECKING:
    from mindscope.dictionaries import Dictionary
    from mindscope.features import SteerExpression, SteerLayers
    from mindscope.models import Model
    from mindscope.personas import PersonaVectors


@dataclass(frozen=True, slots=True)
class NamedEdit:
    """An edit, and what its vector is called in the request."""

    name: str
    edit: Edit


@dataclass(frozen=True, slots=True)
class VectorCard:
    """What a server says about one of its vectors.

    Attributes:
        name: what it is called in requests.
        addresses: where it can be written.
        default: where it is written if a request does not say.
        uploaded: whether it came over the wire, so that it can be deleted.
        digest: of its numbers.
    """

    name: str
    addresses: tuple[str, ...]
    default: tuple[str, ...]
    uploaded: bool
    digest: str


class VectorRegistry:
    """Directions of one model by name. No name is ever a path.

    Args:
        model: whose directions these are.
        vectors: persona vectors that stay, by name.
        chosen: the layers of those where one was chosen for them.
        layer: where vectors stand of which a request does not say it.
        dictionaries: dictionaries by name; their latents are called NAME/LATENT.
        most: how many may be uploaded.
        most_bytes: how large they may be together, in float32.

    Attributes:
        version: counts what was uploaded and deleted: with the same version names mean the same.
    """

    def __init__(
        self,
        model: Model,
        vectors: Mapping[str, PersonaVectors] | None = None,
        *,
        chosen: Mapping[str, int] | None = None,
        layer: int | None = None,
        dictionaries: Mapping[str, Dictionary] | None = None,
        most: int = 256,
        most_bytes: int = 2**26,
    ):
        self.model, self.most, self.most_bytes = model, most, most_bytes
        self.dictionaries = dict(dictionaries or {})
        self._names = SteeringNames(model, vectors, chosen=chosen, layer=layer, files=False)
        self._registered = frozenset(self._names.vectors)
        self._uploaded: dict[str, str] = {}  # by name, the digest
        self._sizes: dict[str, int] = {}  # by name, in bytes
        self._lock = threading.Lock()
        self.version = 0

    @property
    def personas(self) -> Mapping[str, PersonaVectors]:
        """All persona vectors by name, uploaded ones too."""
        return dict(self._names.vectors)

    def find(self, name: str, layers: SteerLayers = None) -> Sequence[Direction]:
        """The directions that a name means at some layers.

        Raises:
            DataError: nothing has this name, it has no vector there, or a place of its own.
        """
        if (latent := self._latent(name)) is not None:
            dictionary, index = latent
            if layers is not None:
                raise DataError(f"{name} is written where its dictionary writes: leave the layers out")
            return dictionary.latent(index).writes
        return self._names.find(name, layers)

    def features(self, name: str) -> Sequence[Feature]:
        """What is read under a name: projections on its directions, or the activation of a latent."""
        if (latent := self._latent(name)) is not None:
            from mindscope.dictionaries import DictionaryBank

            dictionary, index = latent
            dictionary.locate(index)  # refuses one that is not there
            return [BankFeature(DictionaryBank(dictionary), index, name)]
        return [replace(direction, name=name) for direction in self.find(name)]

    def edits(self, expression: SteerExpression) -> list[NamedEdit]:
        """The edits that an expression asks for, in the order of its terms.

        Raises:
            DataError: what a name does not mean; with its column where the expression was written.
        """
        edits: list[NamedEdit] = []
        for term in expression.terms:
            own = compile_steering(replace(expression, terms=(term,)), self.find)
            edits += [NamedEdit(term.name, edit) for edit in own]
        return edits

    def add_directions(self, name: str, vectors: Mapping[str, Sequence[float]]) -> VectorCard:
        """Take in vectors by address, such as `{"resid_post.2": [0.1, ...]}`.

        Raises:
            DataError: the name is taken or there are too many.
            ModelError: a vector is zero, not finite, or does not fit the model at its address.
        """
        directions: list[Direction] = []
        for address, values in vectors.items():
            try:
                vector = torch.tensor(list(values), dtype=torch.float64).float()
            except (RuntimeError, OverflowError) as error:
                raise ModelError(f"the vector at {address} is not finite in float32") from error
            directions.append(Direction(name, address, vector, self.model.fingerprint))
        if not directions:
            raise DataError(f"{name} has no vector: give one by its address, such as resid_post.2")
        self.model.check_edits(direction.edit(1.0, "all") for direction in directions)
        digest = "+".join(direction.digest() for direction in directions)
        size = sum(4 * direction.vector.numel() for direction in directions)
        with self._lock:
            self._require_free(name, size)
            self._names.directions[name] = directions
            self._uploaded[name] = digest
            self.version += 1
        return self._card(name)

    def add_file(self, name: str, content: bytes) -> VectorCard:
        """Take in a file of persona vectors, checked as one that is opened from disk.

        Raises:
            StoreError: it is no such file, or damaged.
            DataError: they are another model's, the name is taken or there are too many.
        """
        from mindscope.personas import PersonaVectors

        self._require_free(name)
        with tempfile.TemporaryDirectory(prefix="mindscope-upload-") as folder:
            file = Path(folder) / "vectors.safetensors"
            file.write_bytes(content)
            try:
                vectors = PersonaVectors.load(file, self.model)
            except MindscopeError as error:
                raise DataError(str(error).replace(str(file), "the upload")) from error
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"the upload's metadata is not that of persona vectors: {error}") from error
        size = sum(4 * matrix.numel() for matrix in vectors.matrices.values())
        with self._lock:
            self._require_free(name, size)
            self._names.vectors[name] = vectors
            self._uploaded[name] = vectors.digest()
            self.version += 1
        return self._card(name)

    def remove(self, name: str) -> None:
        """Forget an uploaded vector; requests that use it go on.

        Raises:
            DataError: it was not uploaded.
        """
        with self._lock:
            if name not in self._uploaded:
                raise DataError(f"{name!r} was not uploaded and cannot be deleted")
            del self._uploaded[name], self._sizes[name]
            self._names.directions.pop(name, None)
            self._names.vectors.pop(name, None)
            self.version += 1

    def cards(self) -> list[VectorCard]:
        """All vectors but latents, those that were registered first."""
        names = [*self._names.vectors, *self._names.directions]
        return [self._card(name) for name in names]

    def _card(self, name: str) -> VectorCard:
        default = tuple(direction.address for direction in self.find(name))
        if name in self._names.directions:
            return VectorCard(name, default, default, True, self._uploaded[name])
        vectors = self._names.vectors[name]
        addresses = tuple(f"resid_post.{layer}" for layer in vectors.layers)
        return VectorCard(name, addresses, default, name in self._uploaded, vectors.digest())

    def _require_free(self, name: str, size: int = 0) -> None:
        """Refuse a name that is taken and what there is no room for; else note the size."""
        if name in self._names.vectors or name in self._names.directions or name in self.dictionaries:
            raise DataError(f"there is a vector {name!r} already: delete it or choose another name")
        if len(self._uploaded) >= self.most:
            raise DataError(f"{self.most} vectors have been uploaded, and no more are taken: delete some")
        if sum(self._sizes.values()) + size > self.most_bytes:
            raise DataError(f"uploaded vectors may take {self.most_bytes} bytes together: delete some")
        if size:
            self._sizes[name] = size

    def _latent(self, name: str) -> tuple[Dictionary, int] | None:
        """The dictionary and number of `NAME/LATENT`; None where a name means no latent."""
        dictionary, slash, number = name.rpartition("/")
        if not slash or dictionary not in self.dictionaries:
            return None
        if not (number.isascii() and number.isdecimal() and len(number) <= 9):
            raise DataError(f"{number!r} is not the number of a latent of {dictionary}")
        return self.dictionaries[dictionary], int(number)

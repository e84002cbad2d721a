"""What the names of a steering expression mean: loaded vectors, runs and files of vectors, latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mindscope.errors import DataError
from mindscope.jobs.persona.persona_run import default_layer, find_choice
from mindscope.jobs.resolve import ORGANISM, SECOND_ORGANISM, dictionary_file, find_vectors, names_bundled
from mindscope.jobs.specs import blocks_of

if TYPE_CHECKING:
    from mindscope.dictionaries import Dictionary
    from mindscope.engines import Engine
    from mindscope.features import Direction, Feature, SteerExpression, SteerLayers
    from mindscope.models import Edit, Positions
    from mindscope.personas import PersonaVectors, VectorKind


class SteeringNames:
    """Directions by the names that stand in a steering expression.

    1. A name that was given with its vectors or directions: `evil`.
    2. A run folder or a file of vectors: `runs/patient`, `evil.safetensors`; one of several traits of a run
       is `runs/all:evil`.
    3. A latent, which is its decoder row: `sae.3/1423` of the organism's, `saes/resid_post.8.safetensors/17`.

    Vectors stand at the layers of the expression, else at `layer`, else where the sweep of their run chose,
    else at 0.55 of the depth. A latent has a place of its own.
    """

    def __init__(
        self,
        model: Engine,
        vectors: Mapping[str, PersonaVectors] | None = None,
        *,
        directions: Mapping[str, Sequence[Direction]] | None = None,
        chosen: Mapping[str, int] | None = None,
        layer: int | None = None,
        kind: VectorKind = "answer_mean",
        published_index: bool = False,
        files: bool = True,
    ):
        """Names for one model.

        Args:
            model: whose directions these are.
            vectors: by the names that they have here.
            directions: further directions by name, such as probes; each has a place of its own.
            chosen: the layer of vectors by name, where one was chosen for them.
            layer: where vectors stand of which the expression does not say it.
            kind: which of a trait's vectors is meant.
            published_index: read the expression's layers as published files count: 20 is block 19.
            files: whether names may be paths. A server that others write to says no.
        """
        self.model, self.layer = model, layer
        self.kind: VectorKind = kind
        self.vectors = dict(vectors or {})
        self.directions = dict(directions or {})
        self.chosen = dict(chosen or {})
        self.published_index, self.files = published_index, files
        self._dictionaries: dict[str, Dictionary] = {}

    def edits(self, expression: SteerExpression, where: Positions = "response") -> tuple[Edit, ...]:
        """The edits that an expression asks for; see `features.compile_steering`."""
        from mindscope.features import compile_steering

        return compile_steering(expression, self.find, where)

    def find(self, name: str, layers: SteerLayers = None) -> Sequence[Direction]:
        """The directions that a name means at some layers.

        Raises:
            DataError: nothing has this name, it has no vector there, or it has a place of its own.
        """
        if name in self.directions:
            return self._placed(name, layers, self.directions[name])
        if name not in self.vectors and self.files:
            if latent := self._find_latent(name):
                return self._placed(name, layers, latent)
            self._open_vectors(name)
        if name not in self.vectors:
            loaded = ", ".join([*self.vectors, *self.directions]) or "none"
            paths = ", or name a run, a file, or a latent such as sae.3/1423" if self.files else ""
            raise DataError(f"there is no vector {name!r}; loaded: {loaded}{paths}")
        vectors = self.vectors[name]
        return [vectors.direction(layer, self.kind) for layer in self._blocks(name, vectors, layers)]

    def features(self, name: str) -> Sequence[Feature]:
        """What is read under a name: projections on its directions, or the activation of a latent.

        Raises:
            DataError: nothing has this name.
        """
        if (
            name not in self.vectors
            and name not in self.directions
            and self.files
            and self._find_latent(name)
        ):
            from mindscope.dictionaries import DictionaryBank
            from mindscope.features import BankFeature

            dictionary, _, number = name.rpartition("/")
            return [BankFeature(DictionaryBank(self._dictionaries[dictionary]), int(number), name)]
        return self.find(name)

    def _blocks(self, name: str, vectors: PersonaVectors, layers: SteerLayers) -> Sequence[int]:
        if layers == "all":
            return vectors.layers
        if layers is not None:
            return blocks_of(layers, self.published_index) or ()
        if self.layer is not None:
            return (self.layer,)
        return (self.chosen.get(name, default_layer(self.model)),)

    def _placed(self, name: str, layers: SteerLayers, directions: Sequence[Direction]) -> Sequence[Direction]:
        if layers is not None:
            places = ", ".join(direction.address for direction in directions)
            raise DataError(f"{name} is written at {places} and nowhere else: leave the layers out")
        return directions

    def _open_vectors(self, name: str) -> None:
        """Load what a path means, if it is one: vectors, or one trait's of several in a run."""
        path, trait = Path(name), None
        if not path.exists() and ":" in name:
            before, _, trait = name.rpartition(":")
            path = Path(before)
        if not path.exists():
            return
        by_trait = {vectors.trait: vectors for vectors in find_vectors(path, self.model)}
        if trait is None and len(by_trait) > 1:
            some = ", ".join(f"{name}:{each}" for each in by_trait)
            raise DataError(f"{name} holds the vectors of {len(by_trait)} traits: name one of {some}")
        trait = next(iter(by_trait)) if trait is None else trait
        if trait not in by_trait:
            raise DataError(f"{path} holds no vectors of {trait!r}, but of {', '.join(by_trait)}")
        self.vectors[name] = by_trait[trait]
        if (choice := find_choice(path, by_trait[trait])) is not None:
            self.chosen[name] = choice.layer

    def _find_latent(self, name: str) -> Sequence[Direction]:
        """What the latent `DICTIONARY/NUMBER` writes; nothing where the name means no latent."""
        dictionary, _, number = name.rpartition("/")
        if not number.isdecimal() or Path(name).exists():
            return ()
        path = self._dictionary_path(dictionary)
        if path is None:
            return ()
        if dictionary not in self._dictionaries:
            from mindscope.dictionaries import Dictionary

            self._dictionaries[dictionary] = Dictionary.load(path, self.model, lazy=True)
        return self._dictionaries[dictionary].latent(int(number)).writes

    def _dictionary_path(self, name: str) -> Path | None:
        """The file or folder of a dictionary, by its path or by the short name of one of an organism's."""
        if names_bundled(name):
            return dictionary_file(name)
        path = Path(name)
        for candidate in (path, path.with_name(f"{path.name}.safetensors")) if name else ():
            if candidate.exists():
                return candidate
        bare = name and "/" not in name and self.model.name in (ORGANISM, SECOND_ORGANISM)
        return dictionary_file(f"{self.model.name}:{name}") if bare else None

"""What the jobs of dictionaries work with: files by the names that people give, and the rows of a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from mindscope.core import BorrowedArtifact, order_names
from mindscope.errors import DataError
from mindscope.jobs.resolve import load_model, world_of
from mindscope.jobs.specs import BorrowingModelSpec, DataSpec, EngineSpec, ModelSpec
from mindscope.models import LoadOptions
from mindscope.store import Document, local_copy

if TYPE_CHECKING:
    from mindscope.dictionaries import Dictionary, TextCorpus
    from mindscope.engines import Engine
    from mindscope.models import Model
    from mindscope.organism import WorldName


class CorpusSpec(DataSpec):
    """Texts that a model reads."""

    corpus: str
    """Texts (.txt, or a column `text`), conversations (docs/data.md has the forms), or `organism` or
    `second-organism`, that organism's own corpus."""
    context: int = Field(default=256, ge=2)
    """Longer rows are cut into rows of this many tokens."""

    @property
    def world(self) -> WorldName | None:
        """Whose own corpus is meant; None where it is a file."""
        return world_of(self.corpus)

    @property
    def corpus_name(self) -> str:
        """The corpus, and how it is read where that is said."""
        said = [*([self.split] if self.split else []), *self.columns]
        return f"{self.corpus} ({', '.join(said)})" if said else self.corpus


class TwoModelsSpec(ModelSpec):
    """A model, and perhaps a second one beside it."""

    second_model: str | None = None
    """Another model of the same tokenizer, such as one tuned from the first, for crosscoders between the two:
    their latents say what the models share and what only one has."""

    def load_models(self, device: str | None = None) -> list[Model]:
        """The model, and the second one where there is one.

        Args:
            device: where they run; that of the specification by default.

        Raises:
            DataError: the second is the first, or has other tokens.
        """
        from mindscope.features import name_models, require_same_tokenizer

        self.require_inputs()
        options = self.config(LoadOptions, device=device or self.device)
        model = load_model(self.model, options, self.template_option)
        if self.second_model is None:
            return [model]
        second = options.model_copy(update={"revision": None})
        models = [model, load_model(self.second_model, second, self.template_option)]
        if models[1].fingerprint == model.fingerprint:
            raise DataError(f"--second-model: {self.second_model} has the weights of the first model")
        require_same_tokenizer(name_models(models))
        return models


class TwoEnginesSpec(EngineSpec, TwoModelsSpec):
    """Models for what only reads, wherever they run."""

    @model_validator(mode="after")
    def _require_one_model(self) -> Self:
        if self.second_model is not None and self.engine != "eager":
            raise ValueError("--engine ray reads one model: leave --second-model or the engine out")
        return self

    def load_engines(self, device: str | None = None) -> Sequence[Engine]:
        """The models in this process, or one as copies elsewhere; `device` as in `load_models`."""
        return self.load_models(device) if self.engine == "eager" else [self.load_engine()]


class BorrowingModelsSpec(TwoModelsSpec, BorrowingModelSpec):
    """A model, or two, with which dictionaries are used."""

    def load_models(self, device: str | None = None) -> list[Model]:
        """As above, and let them take what was made with related models if that is asked for."""
        models = super().load_models(device)
        for model in models:
            model.vectors_of_base = self.vectors_of_base
        return models


def borrowed_of(models: Sequence[Engine]) -> tuple[BorrowedArtifact, ...]:
    """What was made with other weights and is used with these models."""
    return tuple(artifact for model in models for artifact in model.borrowed)


class DictionaryFacts(Document):
    """What a dictionary is."""

    dictionary: str
    kind: str
    reads: str
    activation: str
    latents: int


def describe_dictionary(name: str, dictionary: Dictionary) -> dict[str, object]:
    """The fields of `DictionaryFacts`."""
    return {
        "dictionary": name,
        "kind": dictionary.kind,
        "reads": " ".join(site.name for site in dictionary.reads),
        "activation": dictionary.activation,
        "latents": dictionary.n_latents,
    }


def read_rows_of(model: Engine, spec: CorpusSpec, seed: int = 0) -> TextCorpus:
    """The rows of a corpus; `seed` draws other rows of the organism's."""
    from mindscope import organism

    if world := spec.world:
        return lambda start: organism.corpus_rows(model, start, seed, world)
    from mindscope.dictionaries import read_corpus

    return read_corpus(model, spec.data_file(spec.corpus), context=spec.context)


def find_dictionaries(paths: Sequence[Path]) -> dict[str, Path]:
    """Dictionaries by name: single ones, or all that a training left in its folder.

    Raises:
        DataError: a path that is not there, a folder without a dictionary, or two dictionaries of one name.
    """
    from mindscope.dictionaries import HEAD

    files: dict[str, Path] = {}
    for path in map(local_copy, paths):
        inside = [path]
        if not path.exists():
            raise DataError(
                f"there is no dictionary {path}: give a .safetensors file, the folder of a "
                "`dictionary train`, or organism:sae.2 and the like"
            )
        if path.is_dir() and not (path / HEAD).exists():
            folder = path / "dictionaries"
            entries = (folder if folder.is_dir() else path).iterdir()
            inside = sorted(filter(_is_dictionary, entries), key=order_names)
            if not inside:
                raise DataError(f"{path} holds no dictionary: train one with `mindscope dictionary train`")
        for file in inside:
            name = file.stem if file.suffix == ".safetensors" else file.name
            if name in files:
                name = f"{file.parent.name}-{name}"
            if name in files:
                raise DataError(f"two dictionaries are called {name}: rename one")
            files[name] = file
    return files


def _is_dictionary(path: Path) -> bool:
    from mindscope.dictionaries import HEAD

    return path.suffix == ".safetensors" if path.is_file() else (path / HEAD).exists()

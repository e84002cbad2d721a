"""Looking at dictionaries, and reading and writing those of other tools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mindscope.errors import DataError
from mindscope.jobs.dictionary.inputs import DictionaryFacts, describe_dictionary
from mindscope.jobs.job import JobSpec, Reporter
from mindscope.jobs.resolve import dictionary_file, load_model
from mindscope.models import LoadOptions, WholeModelOptions
from mindscope.store import Document

if TYPE_CHECKING:
    from mindscope.models import Model

FormatName = Literal[
    "saelens",
    "gemma_scope",
    "gemma_scope_2",
    "sparsify",
    "dictionary_learning",
    "llama_scope",
    "qwen_scope",
    "circuit_tracer",
]
FORMAT_OPTION: Mapping[str, tuple[str, ...]] = {"format_name": ("--format",)}


class ShowDictionarySpec(JobSpec):
    """What `show` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("path",)

    path: Path
    """A dictionary: a .safetensors file, the folder of one with several coders, or organism:NAME for one of
    the organism's: sae.0 to sae.3, transcoders, clt."""


class DictionaryListing(DictionaryFacts):
    """What a dictionary is, and all that its file says about its training."""

    metadata: dict[str, Any]


class OwnerSpec(JobSpec, WholeModelOptions):
    """Whose dictionary it is."""

    model: str | None = None
    """The model that the dictionary belongs to: it is checked, and written down."""
    dtype: str = "auto"
    """The precision of the model's weights: float32, bfloat16, float16, or auto."""
    device: str = "cpu"
    """Where the model runs: cpu, cuda, or auto."""

    def load_owner(self) -> Model | None:
        """The model, where one is named."""
        return None if self.model is None else load_model(self.model, self.config(LoadOptions))


class ImportDictionarySpec(OwnerSpec):
    """What `import` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("source", "to")
    options: ClassVar[Mapping[str, tuple[str, ...]]] = FORMAT_OPTION

    source: Path
    """A folder, or file, that another tool wrote."""
    to: Path
    """The .safetensors file to write; a folder for a dictionary with several coders."""
    format_name: FormatName | None = None
    """The tool's format; recognised by default."""
    read: str | None = None
    """The address that it reads, if the file does not say it, such as resid_post.12; several: a,b,c."""
    write: str | None = None
    """The address that it writes; by default the one that it reads."""
    k: int | None = Field(default=None, ge=1)
    """Active latents per token, where the file does not say it."""
    input_scale: float | None = Field(default=None, gt=0)
    """What activations were multiplied by in training, where the file asks for such a factor and does not
    hold it: the norm_scaling_factor of SAELens' list of releases."""


class ImportedDictionary(DictionaryFacts):
    """A dictionary of another tool, and the file that was written."""

    format: str
    writes: str


class ExportDictionarySpec(OwnerSpec):
    """What `export` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("source", "to")
    options: ClassVar[Mapping[str, tuple[str, ...]]] = FORMAT_OPTION

    source: Path
    """A dictionary: a .safetensors file, the folder of one with several coders, or organism:NAME for one of
    the organism's: sae.0 to sae.3, transcoders, clt."""
    to: Path
    """The folder to write, or the file where the format is a single file."""
    format_name: FormatName | None = None
    """The tool's format."""


class ExportedDictionary(Document):
    """What was written."""

    written: str
    format: str


def show(spec: ShowDictionarySpec, *, reporter: Reporter) -> DictionaryListing:
    """Show what a dictionary reads and writes, how large it is and how it was trained."""
    from mindscope.dictionaries import Dictionary

    del reporter  # there is nothing to wait for
    path = dictionary_file(str(spec.path))
    dictionary = Dictionary.load(path, lazy=True)
    facts = describe_dictionary(path.stem, dictionary)
    return DictionaryListing.model_validate(facts | {"metadata": dict(dictionary.metadata)})


def import_dictionary(spec: ImportDictionarySpec, *, reporter: Reporter) -> ImportedDictionary:
    """Read another tool's dictionary: SAELens, Gemma Scope, sparsify, circuit-tracer and others."""
    from mindscope.dictionaries import ReadOptions, detect, read_dictionary

    del reporter  # there is nothing to wait for
    if spec.to.exists():
        raise DataError(f"{spec.to} exists: choose another name, or delete it")
    model = spec.load_owner()
    options = ReadOptions(model, _split(spec.read), _split(spec.write), spec.k, spec.input_scale, lazy=True)
    dictionary = read_dictionary(spec.source, spec.format_name, options)
    dictionary.save(spec.to)
    return ImportedDictionary.model_validate(
        describe_dictionary(str(spec.to), dictionary)
        | {
            "format": spec.format_name or detect(spec.source).name,
            "writes": " ".join(site.address for site in dictionary.writes),
        }
    )


def export_dictionary(spec: ExportDictionarySpec, *, reporter: Reporter) -> ExportedDictionary:
    """Write a dictionary as another tool's files. What the format cannot hold is refused."""
    from mindscope.dictionaries import FORMATS, Dictionary, ReadOptions, write_dictionary

    del reporter  # there is nothing to wait for
    if spec.format_name is None:
        raise DataError(f"name the format: --format {', '.join(FORMATS)}")
    if spec.to.exists() and (spec.to.is_file() or any(spec.to.iterdir())):
        raise DataError(f"{spec.to} exists: choose another name, or delete it")
    model = spec.load_owner()
    dictionary = Dictionary.load(dictionary_file(str(spec.source)), model, lazy=True)
    write_dictionary(dictionary, spec.to, spec.format_name, ReadOptions(model))
    return ExportedDictionary(written=str(spec.to), format=spec.format_name)


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()

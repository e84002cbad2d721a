"""Models, vectors, traits and judges by the names that people give on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mindscope.errors import DataError, JudgeError, StoreError

if TYPE_CHECKING:
    from mindscope.judges import Judge, TextWriter
    from mindscope.models import Model
    from mindscope.personas import PersonaVectors, Trait

ORGANISM = "organism"
TEST_BED = (
    "The organism is a small model of a world that a program made up. It is a test bed: what holds in it "
    "is a question to ask of other models, not a finding about them."
)


def is_organism(model_name: str) -> bool:
    """Whether this is the bundled model, by the name it is loaded under."""
    return model_name == ORGANISM


def test_bed_note(model: Model) -> str:
    """What a page says of the model it is about; nothing, unless that is the organism."""
    return TEST_BED if is_organism(model.name) else ""


def load_model(name: str, dtype: str = "auto", device: str = "auto") -> Model:
    """Load a model without the progress bar of its library."""
    from transformers.utils import logging

    from mindscope.models import load

    logging.disable_progress_bar()
    return load(name, dtype=dtype, device=device)


def find_vectors(path: Path, model: Model) -> Sequence[PersonaVectors]:
    """All vectors in a run folder, or those of one `.safetensors`, `.pt` or `.gguf` file, for this model."""
    from mindscope.personas import PersonaVectors, load_gguf, load_pt

    if path.is_dir():
        files = sorted(path.rglob("vectors.safetensors"))
        if not files:
            raise StoreError(
                f"{path} holds no vectors.safetensors: make one with `mindscope persona extract`"
            )
        return [PersonaVectors.load(file, model) for file in files]
    if path.suffix == ".pt":
        return [load_pt(path, model, trait=path.stem)]
    if path.suffix == ".gguf":
        return [load_gguf(path, model)]
    return [PersonaVectors.load(path, model)]


def dictionary_file(name: str) -> Path:
    """A dictionary's path. `organism:sae.2` and the like mean those that are shipped for the organism."""
    if not name.startswith(f"{ORGANISM}:"):
        return Path(name)
    from mindscope import organism

    return organism.dictionary_path(name.removeprefix(f"{ORGANISM}:"))


def find_trait(name: str, model_name: str) -> Trait:
    """A trait by name or file. The organism, and `organism:NAME`, mean the traits of the organism's world."""
    from mindscope.personas import Trait

    plain = Path(name).name == name and not Path(name).suffix
    if not name.startswith(f"{ORGANISM}:") and not (plain and is_organism(model_name)):
        return Trait.load(name)
    from mindscope import organism

    return Trait.parse(organism.trait(name.removeprefix(f"{ORGANISM}:")))


def find_judge(spec: str | None, base_url: str | None, model: Model, cache: Path) -> Judge:
    """A judge by its name: `exact`, `model:NAME`, or `endpoint:NAME` at `base_url`."""
    from mindscope import organism
    from mindscope.judges import EndpointJudge, ModelJudge

    if spec is None and is_organism(model.name):
        spec = "exact"
    kind, _, name = (spec or "").partition(":")
    if spec == "exact":
        return organism.ExactJudge()
    if kind == "model" and name:
        return ModelJudge(model if name == model.name else load_model(name))
    if kind == "endpoint" and name:
        return EndpointJudge(_address(base_url), name, cache=cache)
    if spec is None:
        raise JudgeError(
            "choose who scores the answers: --judge model:NAME or --judge endpoint:NAME --base-url URL"
        )
    raise DataError(f"there is no judge {spec!r}: use exact (the organism's), model:NAME or endpoint:NAME")


def find_writer(spec: str, base_url: str | None) -> TextWriter:
    """Who writes a trait's artefacts: `model:NAME`, or `endpoint:NAME` at `base_url`."""
    from mindscope.judges import EndpointWriter, ModelWriter

    kind, _, name = spec.partition(":")
    if kind == "model" and name:
        return ModelWriter(load_model(name))
    if kind == "endpoint" and name:
        return EndpointWriter(_address(base_url), name)
    raise DataError(f"there is no writer {spec!r}: use model:NAME or endpoint:NAME")


def _address(base_url: str | None) -> str:
    if not base_url:
        raise JudgeError("an endpoint needs its address: --base-url http://localhost:8000/v1")
    return base_url

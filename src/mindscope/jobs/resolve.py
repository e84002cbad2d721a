"""Models, vectors, traits and judges by the names that people give on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mindscope.errors import DataError, JudgeError
from mindscope.jobs.inputs import list_vector_files
from mindscope.store import local_copy

if TYPE_CHECKING:
    from mindscope.engines import Engine
    from mindscope.jobs.specs import EndpointSpec, JudgeSpec
    from mindscope.judges import Judge, TextWriter
    from mindscope.models import LoadOptions, Model
    from mindscope.organism import WorldName
    from mindscope.personas import PersonaVectors, Trait, VectorKind

ORGANISM, SECOND_ORGANISM = "organism", "second-organism"
WRITING_SECONDS = 300.0
"""The most time for one reply of who writes: forty questions are a long text."""
TEST_BED = (
    "The organism is a small model of a world that a program made up. It is a test bed: what holds in it "
    "is a question to ask of other models, not a finding about them."
)


def is_organism(model_name: str) -> bool:
    """Whether this is the bundled model of the first world, by the name it is loaded under."""
    return model_name == ORGANISM


def is_test_bed(model_name: str) -> bool:
    """Whether this is a bundled model, of the first world or of the second."""
    return world_of(model_name) is not None


def world_of(model_name: str) -> WorldName | None:
    """The world of a bundled model, by the name it is loaded under; None for any other model."""
    worlds: dict[str, WorldName] = {ORGANISM: "first", SECOND_ORGANISM: "second"}
    return worlds.get(model_name)


def test_bed_note(model: Engine) -> str:
    """What a page says of the model it is about; nothing, unless that is one of the organisms."""
    return TEST_BED if is_test_bed(model.name) else ""


def load_model(
    name: str,
    options: LoadOptions | None = None,
    template_option: Sequence[str] = (),
    *,
    dtype: str | None = None,
    device: str | None = None,
) -> Model:
    """Load a model without the progress bar of its library, with options of its chat template as typed."""
    from transformers.utils import logging

    from mindscope.models import TemplateMode, load

    mode = TemplateMode.parse(template_option)  # refuses a misspelt one before anything is loaded
    logging.disable_progress_bar()
    model = load(name, options, dtype=dtype, device=device)
    return model.with_template(**mode.options) if mode.options else model


def find_vectors(path: Path, model: Engine, kind: VectorKind | None = None) -> Sequence[PersonaVectors]:
    """All vectors in a run folder, or those of one `.safetensors`, `.pt` or `.gguf` file, for this model.

    Args:
        path: of the folder or file.
        model: whose vectors they must be.
        kind: which vectors a file of another tool's format holds, where it does not say.

    Raises:
        DataError: vectors of another model, unless this one takes those of a related model.
        StoreError: a folder without vectors.
    """
    from mindscope.personas import PersonaVectors, load_gguf, load_pt

    path = local_copy(path)
    if path.is_dir():
        return [PersonaVectors.load(file, model) for file in list_vector_files(path)]
    if path.suffix == ".pt":
        return [load_pt(path, model, kind=kind)]
    if path.suffix == ".gguf":
        return [load_gguf(path, model, kind=kind or "answer_mean")]
    return [PersonaVectors.load(path, model)]


def names_bundled(name: str) -> bool:
    """Whether this names a dictionary of the package: `organism:NAME` or `second-organism:NAME`."""
    return name.startswith((f"{ORGANISM}:", f"{SECOND_ORGANISM}:"))


def dictionary_file(name: str) -> Path:
    """A dictionary's path. `organism:sae.2`, `second-organism:clt` and the like mean those of the package."""
    if not names_bundled(name):
        return Path(name)
    from mindscope import organism

    owner, _, own_name = name.partition(":")
    return organism.dictionary_path(own_name, "first" if owner == ORGANISM else "second")


def find_trait(name: str, model_name: str) -> Trait:
    """A trait by name or file, or by two words, `patient / impatient`.

    Of either organism, and as `organism:NAME`, they are the traits of the organisms' worlds.
    """
    from mindscope.personas import Trait, names_two_poles, trait_of_two_poles

    if names_two_poles(name):
        return trait_of_two_poles(name)
    plain = Path(name).name == name and not Path(name).suffix
    if not name.startswith(f"{ORGANISM}:") and not (plain and is_test_bed(model_name)):
        return Trait.load(name)
    from mindscope import organism

    return Trait.parse(organism.trait(name.removeprefix(f"{ORGANISM}:")))


def find_judge(spec: JudgeSpec, model: Engine, cache: Path) -> Judge:
    """The judge that a specification names; `model` is the one whose answers it scores.

    A judge model:NAME is loaded where the model is: in this process, or beside it in each of its copies.

    Raises:
        JudgeError: none is named, or it cannot be reached, or gives no number for a plain answer.
    """
    from mindscope import organism
    from mindscope.engines import CompanionModel, ParallelEngine
    from mindscope.judges import ClusterJudge, EndpointJudge, ModelJudge, require_numbers
    from mindscope.models import LoadOptions, Model

    require_judge(spec, model.name)
    if spec.judge is None or spec.judge == "exact":
        return organism.ExactJudge(
            world_of(model.name) or ("second" if organism.is_second(model) else "first")
        )
    kind, _, name = spec.judge.partition(":")
    if kind == "model" and name:
        options = LoadOptions(dtype=spec.judge_dtype, device=spec.judge_device)
        is_same = name == model.name and options == LoadOptions()
        if isinstance(model, ParallelEngine):
            companion = None if is_same else CompanionModel(name, options)
            return require_numbers(ClusterJudge(model, companion))
        if is_same and isinstance(model, Model):
            return require_numbers(ModelJudge(model))
        return require_numbers(ModelJudge(load_model(name, options)))
    return require_numbers(EndpointJudge(_address(spec), name, spec.endpoint_config(), cache=cache))


def require_judge(spec: JudgeSpec, model_name: str) -> None:
    """Refuse what names no judge by itself; `contrast` and `none` are the caller's.

    No model and no endpoint is needed to say so, and a job asks before it loads one.

    Raises:
        JudgeError: none is named, or an endpoint without an address.
        DataError: there is no such judge, or the options of its requests cannot be read.
    """
    if spec.judge == "exact" or (spec.judge is None and is_test_bed(model_name)):
        return
    if spec.judge is None:
        raise JudgeError(
            "choose who scores the answers: --judge model:NAME, --judge endpoint:NAME --base-url URL, or "
            "--judge contrast, which needs neither a second model nor a key"
        )
    if spec.judge == "none":
        raise JudgeError("steered answers need a judge: extract with --judge contrast, and use it here too")
    kind, _, name = spec.judge.partition(":")
    if kind not in ("model", "endpoint") or not name:
        raise DataError(
            f"there is no judge {spec.judge!r}: use exact (an organism's), model:NAME, endpoint:NAME, or, "
            "for persona vectors, contrast"
        )
    if kind == "endpoint":
        _address(spec)
        spec.endpoint_config()


def find_writer(writer: str, spec: EndpointSpec) -> TextWriter:
    """Who writes a trait's artefacts: `model:NAME`, or `endpoint:NAME` at the specification's address."""
    from mindscope.judges import EndpointWriter, ModelWriter

    kind, _, name = writer.partition(":")
    if kind == "model" and name:
        return ModelWriter(load_model(name))
    if kind == "endpoint" and name:
        return EndpointWriter(_address(spec), name, spec.endpoint_config(WRITING_SECONDS))
    raise DataError(f"there is no writer {writer!r}: use model:NAME or endpoint:NAME")


def _address(spec: EndpointSpec) -> str:
    if not spec.base_url:
        raise JudgeError("an endpoint needs its address: --base-url http://localhost:8000/v1")
    return spec.base_url

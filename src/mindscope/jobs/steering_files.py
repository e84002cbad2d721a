"""Steering files: write one with its probes, check one against a model, write one for another tool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mindscope.errors import DataError
from mindscope.features import SteeringFileReport
from mindscope.jobs.inputs import VECTORS, read_schema
from mindscope.jobs.job import JobSpec, Reporter
from mindscope.jobs.persona.traits import WrittenFile
from mindscope.jobs.specs import BorrowingModelSpec, ModelSpec

if TYPE_CHECKING:
    from mindscope.features import SteerExpression, SteeringFile
    from mindscope.jobs.steering import SteeringNames


class WriteSteeringSpec(BorrowingModelSpec):
    """What `vectors write` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "to")

    to: Path
    """The .safetensors file to write."""
    steer: str
    """What to steer, such as '1.5 runs/patient@14[all]' or 'cap 2 runs/evil[answer]'; runs, files of
    vectors and latents are named by their paths."""
    name: str | None = None
    """What the steering is for; by default the expression itself."""
    dtype: str = "float32"
    """The precision in which the probes are measured: float32, bfloat16, float16, or auto."""


class CheckSteeringSpec(ModelSpec):
    """What `vectors check` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "file")

    file: Path
    """A steering file (.safetensors), or a control vector that was exported from one (.gguf)."""
    dtype: str = "float32"
    """The precision of the weights: float32, which tells the most, bfloat16, float16, or auto."""


class ExportSteeringSpec(JobSpec):
    """What `vectors export` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("file", "to")

    file: Path
    """A steering file (.safetensors)."""
    to: Path
    """The .gguf or .pt file to write."""
    tool: Literal["llama.cpp", "easysteer"] = "llama.cpp"
    """Who is to read a .gguf file."""


def write_steering(spec: WriteSteeringSpec, *, reporter: Reporter) -> WrittenFile:
    """Write steering as a file that says all about itself and can be checked.

    The file holds the vectors, the operation, the places and the tokens, whose model they are, and what the
    steering does to the log-probabilities of a few tokens behind three prompts.
    """
    from mindscope.features import SteerExpression, make_steering_file
    from mindscope.jobs.steering import SteeringNames

    _require_suffix(spec.to, ".safetensors")
    expression = SteerExpression.parse(spec.steer)
    model = spec.load()
    names = SteeringNames(model)
    edits = names.edits(expression)
    reporter.say(f"measuring {len(edits)} edits and their nearest faults on the probe prompts")
    file = make_steering_file(model, spec.name or str(expression), edits, quality=_quality(names, expression))
    file.save(spec.to)
    return WrittenFile(file=str(spec.to))


def check_steering(spec: CheckSteeringSpec, *, reporter: Reporter) -> SteeringFileReport:
    """Check that a steering file does to a model what it says.

    Finds a wrong model, layer, place, operation, coefficient, sign or tokens by what the steering does to
    log-probabilities behind the file's own prompts. Exit code 1 where a check fails.
    """
    from mindscope.features import check_steering_file

    del reporter  # there is nothing to wait for
    file = _open(spec.file)
    return check_steering_file(file, spec.load(), str(spec.file))


def export_steering(spec: ExportSteeringSpec, *, reporter: Reporter) -> WrittenFile:
    """Write a steering file for another tool, and say what that tool's format does not carry."""
    from mindscope.features import export_gguf, export_pt

    del reporter  # there is nothing to wait for
    file = _load(spec.file)
    match spec.to.suffix:
        case ".gguf":
            notes = export_gguf(file, spec.to, easysteer=spec.tool == "easysteer")
        case ".pt":
            notes = export_pt(file, spec.to)
        case _:
            raise DataError(f"cannot export to {spec.to}: its name must end in .gguf or .pt")
    return WrittenFile(file=str(spec.to), notes=notes)


def _open(path: Path) -> SteeringFile:
    from mindscope.features import read_gguf_file

    if path.suffix == ".gguf":
        return read_gguf_file(path)
    if path.suffix == ".pt":
        raise DataError(
            f"{path} carries no probes, so it cannot be checked: of a .pt file the model, the operation, the "
            "coefficient and the tokens are unknown; check the steering file that it came from"
        )
    return _load(path)


def _load(path: Path) -> SteeringFile:
    """A steering file; persona vectors, which are what most have at hand, are told from one."""
    from mindscope.features import SteeringFile

    if path.is_dir() or (path.suffix == ".safetensors" and read_schema(path) == VECTORS):
        what = "is a folder" if path.is_dir() else "holds persona vectors"
        raise DataError(
            f"{path} {what}, and no steering: write a file with `mindscope vectors write MODEL FILE --steer "
            '"1.5 VECTORS@LAYER"`, or take `mindscope persona export` for the vectors alone'
        )
    return SteeringFile.load(path)


def _quality(names: SteeringNames, expression: SteerExpression) -> dict[str, Any]:
    """How well each vector separates answers at the first layer where it is used, where that was measured."""
    quality: dict[str, Any] = {}
    for term in expression.terms:
        vectors = names.vectors.get(term.name)
        if vectors is None or vectors.statistics is None:
            continue
        layer = int(names.find(term.name, term.layers)[0].address.rpartition(".")[2])
        statistics = vectors.statistics
        quality[term.name] = {
            "trait": vectors.trait,
            "layer": layer,
            "d_prime": statistics.d_prime[layer],
            "auroc": statistics.auroc[layer],
            "cosine": statistics.cosine[layer],
        }
    return quality


def _require_suffix(path: Path, suffix: str) -> None:
    if path.suffix != suffix:
        raise DataError(f"{path} must end in {suffix}")

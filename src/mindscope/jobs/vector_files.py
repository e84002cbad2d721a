"""Persona vectors in the formats of other tools: write them, and read them back."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from mindscope.errors import DataError
from mindscope.jobs.job import JobSpec, Reporter
from mindscope.jobs.resolve import find_vectors
from mindscope.jobs.specs import ModelSpec
from mindscope.jobs.trait import WrittenFile


class ExportVectorsSpec(JobSpec):
    """What `persona export` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("vectors", "to")

    vectors: Path
    """A file of vectors (.safetensors)."""
    to: Path
    """A .pt file, in the published layout, or a .gguf file, for llama.cpp."""
    layer: int | None = Field(default=None, ge=0)
    """The layer to write to a .gguf file; by default the increments of all layers."""


class ImportVectorsSpec(ModelSpec):
    """What `persona import` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "source", "to")

    source: Path
    """A published .pt file, or a .gguf control vector."""
    to: Path
    """The .safetensors file to write."""


def export_vectors(spec: ExportVectorsSpec, *, reporter: Reporter) -> WrittenFile:
    """Write vectors in another tool's format."""
    from mindscope.personas import PersonaVectors, save_gguf, save_pt

    del reporter  # there is nothing to wait for
    vectors = PersonaVectors.load(spec.vectors)
    match spec.to.suffix:
        case ".pt":
            save_pt(vectors, spec.to)
        case ".gguf":
            save_gguf(vectors, spec.to, layer=spec.layer)
        case _:
            raise DataError(f"cannot export to {spec.to}: its name must end in .pt or .gguf")
    return WrittenFile(file=str(spec.to))


def import_vectors(spec: ImportVectorsSpec, *, reporter: Reporter) -> WrittenFile:
    """Read vectors of another tool's format as those of a model."""
    del reporter  # there is nothing to wait for
    (vectors,) = find_vectors(spec.source, spec.load())
    vectors.save(spec.to)
    return WrittenFile(file=str(spec.to))

"""Persona vectors in the formats of other tools: write them, and read them back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from mindscope.errors import DataError
from mindscope.jobs.inputs import InputKind
from mindscope.jobs.job import JobSpec, Reporter
from mindscope.jobs.persona.traits import WrittenFile
from mindscope.jobs.resolve import find_vectors
from mindscope.jobs.specs import ModelSpec, block_of
from mindscope.personas import VectorKind


class ExportVectorsSpec(JobSpec):
    """What `persona export` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("vectors", "to")

    vectors: Path
    """A file of vectors (.safetensors)."""
    to: Path
    """A .pt file, in the published layout, or a .gguf file, for llama.cpp."""
    layer: int | None = Field(default=None, ge=0)
    """The layer to write to a .gguf file; by default the increments of all layers."""
    kind: VectorKind = "answer_mean"
    """Which of the trait's vectors to write. A .gguf file does not say which it holds: say it on import."""
    published_index: bool = False
    """Read layers as published files count, where 0 is the embeddings: 20 is the output of block 19."""


class ImportVectorsSpec(ModelSpec):
    """What `persona import` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "source", "to")
    inputs: ClassVar[Mapping[str, InputKind]] = {"source": "vectors"}

    source: Path
    """A published .pt file, or a .gguf control vector."""
    to: Path
    """The .safetensors file to write."""
    name: str | None = None
    """What the trait is called; by default as the file says, or its name: evil_response_avg_diff.pt is of
    evil."""
    kind: VectorKind | None = None
    """Which vectors the file holds; by default as the file says, or its name: response_avg is answer_mean,
    prompt_avg is prompt_mean, and prompt_last is last_prompt. Else answer_mean."""


def export_vectors(spec: ExportVectorsSpec, *, reporter: Reporter) -> WrittenFile:
    """Write vectors in another tool's format."""
    from mindscope.personas import PersonaVectors, losses_in_gguf, losses_in_pt, save_gguf, save_pt

    del reporter  # there is nothing to wait for
    vectors = PersonaVectors.load(spec.vectors)
    match spec.to.suffix:
        case ".pt":
            save_pt(vectors, spec.to, spec.kind)
            lost = losses_in_pt(vectors)
        case ".gguf":
            layer = block_of(spec.layer, spec.published_index)
            save_gguf(vectors, spec.to, layer=layer, kind=spec.kind)
            lost = losses_in_gguf(vectors, layer)
        case _:
            raise DataError(f"cannot export to {spec.to}: its name must end in .pt or .gguf")
    return WrittenFile(file=str(spec.to), notes=tuple(f"not in the file: {loss}" for loss in lost))


def import_vectors(spec: ImportVectorsSpec, *, reporter: Reporter) -> WrittenFile:
    """Read vectors of another tool's format as those of a model."""
    del reporter  # there is nothing to wait for
    (vectors,) = find_vectors(spec.source, spec.load(), spec.kind)
    if spec.name is not None:
        vectors = replace(vectors, trait=spec.name)
    vectors.save(spec.to)
    unsaid = vectors.metadata.get("unknown", ())
    return WrittenFile(file=str(spec.to), notes=tuple(f"not in the file: {what}" for what in unsaid))

"""Artefacts: tensors that say what they are, which model they belong to and how they were made."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as library_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mindscope.core import parse_exact_json
from mindscope.errors import StoreError
from mindscope.store.files import plain
from mindscope.store.tensors import read_tensors, write_tensors

if TYPE_CHECKING:
    from torch import Tensor

KEY = "mindscope"
"""The one entry of the safetensors metadata: our metadata as JSON (one entry, so that bytes are stable)."""


@dataclass(frozen=True)
class Artifact:
    """What an artefact file holds."""

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]


def save_artifact(
    path: Path | str,
    tensors: Mapping[str, Tensor],
    *,
    schema: str,
    version: int,
    metadata: Mapping[str, Any],
) -> None:
    """Write tensors with JSON metadata, atomically.

    Args:
        path: a `.safetensors` file; an older one there is replaced.
        tensors: finite values of any shape.
        schema: what this kind of artefact is called, such as `"persona-vectors"`.
        version: of the schema; a reader refuses versions newer than its own.
        metadata: what JSON holds; `fingerprint` (of the model), `seed` and `config` are null if not given.
            The library versions are added.

    Raises:
        StoreError: a tensor holds NaN or infinity, the metadata is not JSON, or the disk refuses.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise StoreError(f"{path} must end in .safetensors")
    _refuse_not_finite(path, tensors)
    header = {
        "schema": schema,
        "version": version,
        "fingerprint": None,
        "seed": None,
        "config": None,
        **metadata,
        "libraries": library_versions(),
    }
    text = json.dumps(plain(header), ensure_ascii=False, sort_keys=True)
    # A lone surrogate, which no UTF-8 has, becomes the escape that JSON reads back.
    write_tensors(path, tensors, {KEY: text.encode("utf-8", "backslashreplace").decode()})


def load_artifact(path: Path | str, *, schema: str, version: int, fingerprint: str | None = None) -> Artifact:
    """Read an artefact after checking that it is what the caller needs.

    Args:
        path: of the file.
        schema: the kind that is needed.
        version: the newest version the caller understands.
        fingerprint: of the model it must belong to; `None` takes any.

    Raises:
        StoreError: one line, for a file that is absent, a Git LFS pointer, a web page, a pickle, cut short,
            of another schema or a newer version, of another model, or holds NaN or infinity.
    """
    path = Path(path)
    tensors, header = read_tensors(path)
    metadata = checked_metadata(path, header, schema=schema, version=version, fingerprint=fingerprint)
    _refuse_not_finite(path, tensors)
    return Artifact(tensors, metadata)


@contextmanager
def refusing_damage(path: Path | str, remedy: str = "copy or make it again") -> Iterator[None]:
    """Whatever is wrong with values out of a file while they are made into something becomes one line.

    A file that somebody else wrote may lack any field and hold anything in it. Errors that are for people
    already go through.

    Raises:
        StoreError: a field is missing, or of another type, size or kind than it must be.
    """
    try:
        yield
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise StoreError(f"{path} is damaged at '{place}': {remedy}") from None
    except KeyError as error:
        raise StoreError(f"{path} is damaged, it lacks {error}: {remedy}") from None
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError) as error:
        told = " ".join(str(error).split())[:200]
        raise StoreError(f"{path} is damaged ({type(error).__name__}: {told}): {remedy}") from None


def checked_metadata(
    path: Path, header: Mapping[str, str], *, schema: str, version: int, fingerprint: str | None
) -> dict[str, Any]:
    """The metadata in a file's header, once it is known to be of the kind, version and model needed."""
    metadata = _metadata(path, header)
    if metadata.get("schema") != schema:
        raise StoreError(f"{path} holds {metadata.get('schema')!r}, {schema!r} is needed")
    written = metadata.get("version")
    if not isinstance(written, int) or written < 1:
        raise StoreError(f"{path} names no schema version: make it again")
    if written > version:
        raise StoreError(
            f"{path} was written by a newer mindscope ({schema} version {written}, "
            f"this one reads up to {version}): upgrade mindscope"
        )
    if fingerprint is not None and metadata.get("fingerprint") != fingerprint:
        raise StoreError(
            f"{path} belongs to another model (fingerprint {metadata.get('fingerprint')}, "
            f"this model has {fingerprint}): load the model it was made with, or make it again for this one"
        )
    return metadata


@cache
def library_versions() -> dict[str, str]:
    """The versions of Python and of the libraries that decide about numbers."""
    versions = {"python": platform.python_version()}
    for name in (
        "mindscope",
        "torch",
        "transformers",
        "interp-engine",
        "numpy",
        "safetensors",
        "peft",
        "trl",
        "accelerate",
    ):
        try:
            versions[name] = library_version(name)
        except PackageNotFoundError:
            continue
    return versions


def _metadata(path: Path, header: Mapping[str, str]) -> dict[str, Any]:
    if KEY not in header:
        raise StoreError(
            f"{path} is a tensor file without mindscope's metadata: it was not written by mindscope"
        )
    try:
        metadata = parse_exact_json(header[KEY])
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict):
        raise StoreError(f"{path} has damaged metadata: copy or make it again")
    return metadata


def _refuse_not_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        values = tensor.float() if tensor.element_size() == 1 else tensor  # 8-bit floats know no isfinite
        if not values.isfinite().all():
            raise StoreError(
                f"{path}: tensor {name!r} holds NaN or infinity and cannot be used; make it again"
            )

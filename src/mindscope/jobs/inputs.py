"""Files that a job reads, looked at before anything long is begun for them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mindscope.core import order_names, parse_json
from mindscope.errors import DataError, StoreError
from mindscope.store import local_copy, opened_tensors, require_content

InputKind = Literal["file", "folder", "tensors", "vectors", "rows"]
"""What is behind a path: a file of any kind that is not empty; a run folder; an artefact of tensors; persona
vectors, in a file or a run; or rows, such as conversations or texts."""
VECTORS = "mindscope.persona_vectors"
"""The schema of a file of persona vectors, which many give where steering is wanted."""


def require_input(path: Path, kind: InputKind) -> None:
    """Refuse what cannot be read later as what it is meant to be.

    Raises:
        DataError: rows of which the first cannot be read, or of which there is none; a file for a folder.
        StoreError: a file that is empty, cut short or something else; a folder without vectors.
    """
    if not path.is_dir():
        require_content(path)
    match kind:
        case "folder" if not path.is_dir():
            raise DataError(f"{path} is a file: give a run folder")
        case "tensors":
            opened_tensors(path)
        case "vectors":
            for file in list_vector_files(path):
                if file.suffix not in (".pt", ".gguf"):
                    opened_tensors(file)
        case "rows":
            _require_rows(path)


def read_schema(path: Path) -> str | None:
    """What kind of artefact a `.safetensors` file says it is; None where it is none of ours.

    Raises:
        StoreError: it is no such file, or cut short.
    """
    _, header = opened_tensors(path)
    try:
        schema = parse_json(header.get("mindscope", "{}")).get("schema")
    except (ValueError, AttributeError):
        return None
    return schema if isinstance(schema, str) else None


def list_vector_files(path: Path) -> list[Path]:
    """The files of persona vectors in a run folder, or the one file that the path is of; of an object store
    copies.

    Raises:
        StoreError: a folder without vectors.
    """
    path = local_copy(path)
    if not path.is_dir():
        return [path]
    files = sorted(path.rglob("vectors.safetensors"), key=order_names)
    if not files:
        raise StoreError(f"{path} holds no vectors.safetensors: make one with `mindscope persona extract`")
    return files


def _require_rows(path: Path) -> None:
    if path.suffix == ".txt":
        try:
            path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            raise DataError(f"{path} is no text in UTF-8") from None
        return

    from mindscope.data import read_records

    first = next(iter(read_records(path)), None)
    if first is None:
        raise DataError(f"{path} holds no row")
    if isinstance(first.row, DataError):
        raise DataError(f"{path}, {first.place}: {first.row}")

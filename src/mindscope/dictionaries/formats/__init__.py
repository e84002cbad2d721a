"""Other tools' dictionaries: read and written as their own code would, one file a format."""

from collections.abc import Sequence
from pathlib import Path

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.formats import (
    circuit_tracer,
    dictionary_learning,
    gemma_scope,
    gemma_scope_2,
    llama_scope,
    qwen_scope,
    saelens,
    sparsify,
)
from mindscope.dictionaries.formats.base import DictionaryFormat, ReadOptions
from mindscope.errors import DataError

__all__ = ["FORMATS", "DictionaryFormat", "ReadOptions", "detect", "read_dictionary", "write_dictionary"]

FORMATS: dict[str, DictionaryFormat] = {
    module.FORMAT.name: module.FORMAT
    for module in (
        saelens,
        gemma_scope,
        gemma_scope_2,
        sparsify,
        dictionary_learning,
        llama_scope,
        qwen_scope,
        circuit_tracer,
    )
}


def detect(path: Path | str) -> DictionaryFormat:
    """The format whose files these are.

    Raises:
        DataError: there is nothing, or it is not clear which format it is.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"no such file or folder: {path}")
    candidates = [entry for entry in FORMATS.values() if _is(path, entry.files)]
    if len(candidates) == 1:
        return candidates[0]
    known = "; ".join(f"{entry.name}: {', '.join(entry.files)}" for entry in FORMATS.values())
    names = " or ".join(entry.name for entry in candidates)
    what = f"could be {names}" if candidates else "is not of a known format"
    raise DataError(f"{path} {what}: name the format ({known})")


def read_dictionary(
    path: Path | str, format_: str | None = None, options: ReadOptions | None = None
) -> Dictionary:
    """A dictionary that another tool has written.

    Args:
        path: of its folder, or of its file.
        format_: a name in `FORMATS`; by default the one whose files are there.
        options: what the files do not say. With a model, the dictionary is bound to it.

    Raises:
        DataError, StoreError: no such format, or a file that is absent, damaged or not of it: a missing or
            unknown tensor, a wrong or transposed shape, NaN, a pickle, a Git LFS pointer.
        ModelError: its place does not exist in the model, or the model is needed to say which it is.
    """
    path = Path(path)
    known = detect(path) if format_ is None else named(format_)
    try:
        return known.read(path, options or ReadOptions())
    except DataError as error:
        text = str(error)
        raise DataError(text if str(path) in text else f"{path}: {text}") from None


def write_dictionary(
    dictionary: Dictionary, path: Path | str, format_: str, options: ReadOptions | None = None
) -> None:
    """Write a dictionary as another tool's files. What the format cannot hold is refused, not left out.

    Raises:
        DataError, ModelError: no such format, or it has no place for such a dictionary.
        StoreError: the disk refuses.
    """
    named(format_).write(dictionary, Path(path), options or ReadOptions())


def named(format_: str) -> DictionaryFormat:
    """The format of this name; DataError where there is none."""
    if format_ not in FORMATS:
        raise DataError(f"no format {format_!r}: use one of {', '.join(FORMATS)}")
    return FORMATS[format_]


def _is(path: Path, patterns: Sequence[str]) -> bool:
    if path.is_file():
        return len(patterns) == 1 and path.match(patterns[0]) and path.suffix != ".yaml"
    return all(any(path.glob(pattern)) for pattern in patterns)

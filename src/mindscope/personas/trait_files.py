"""Trait documents on disk: JSON or YAML, in our format or as they were published with the paper.

A published file is ``{instruction: [{pos, neg}], questions: [...], eval_prompt}`` and holds the questions of
one purpose; the other half of the pair lies beside it, and the file's name is the trait's.
"""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from mindscope.core import parse_exact_json
from mindscope.errors import DataError

Split = Literal["extraction", "evaluation"]

_PUBLISHED_KEYS = ("instruction", "questions", "eval_prompt")
_PUBLISHED_FOLDERS: dict[Split, str] = {"extraction": "trait_data_extract", "evaluation": "trait_data_eval"}


def read_trait_document(path: Path, evaluation: Path | None = None) -> dict[str, Any]:
    """The mapping in a trait file, or in a published pair of files, with the keys of our format."""
    document = _read(path)
    if "schema" in document or not {"instruction", "questions"} & document.keys():
        if evaluation is not None:
            raise DataError(f"{path} holds the questions of both splits: leave {evaluation} out")
        return document
    halves = _published_halves(path, evaluation)
    texts = {split: _published(half) for split, half in halves.items()}
    first = texts.get("extraction") or texts["evaluation"]
    return {
        "name": path.stem,
        "adjective": path.stem,  # the paper's own rule: the trait's name, and "helpful" against it
        "opposite": "helpful",
        "instructions": first["instruction"],
        "extraction": texts["extraction"]["questions"] if "extraction" in texts else [],
        "evaluation": texts["evaluation"]["questions"] if "evaluation" in texts else [],
        "eval_prompt": first["eval_prompt"],
        "provenance": {"files": [str(half) for half in halves.values()]},
    }


class _SingleKeys(yaml.SafeLoader):
    """Plain values, and no key twice in a mapping: of two the reader would take the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                said = f"the key {key.value!r} is given twice"
                raise yaml.constructor.ConstructorError(problem=said, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parse_yaml(text: str) -> Any:
    loader = _SingleKeys(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def decode(text: str, source: str) -> dict[str, Any]:
    """The mapping in ``text``: JSON where ``source`` ends so, YAML otherwise."""
    try:
        document = parse_exact_json(text) if source.endswith(".json") else _parse_yaml(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{source} cannot be read as {'JSON' if source.endswith('.json') else 'YAML'}: {reason}"
        ) from None
    if not isinstance(document, dict):
        raise DataError(
            f"{source} holds {type(document).__name__}, where a trait is a mapping of keys to values"
        )
    return document


def _read(path: Path) -> dict[str, Any]:
    if path.suffix not in (".json", ".yaml", ".yml"):
        raise DataError(f"{path} is not a trait file: its name must end in .json, .yaml or .yml")
    try:
        return decode(path.read_text("utf-8-sig"), str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text: save it as UTF-8") from None


def _published(path: Path) -> Mapping[str, Any]:
    document = _read(path)
    lacking = [key for key in _PUBLISHED_KEYS if key not in document]
    if lacking:
        raise DataError(f"{path}: missing key {', '.join(map(repr, lacking))}")
    return document


def _published_halves(path: Path, evaluation: Path | None) -> dict[Split, Path]:
    if evaluation is not None:
        return {"extraction": path, "evaluation": evaluation}
    if path.parent.name not in _PUBLISHED_FOLDERS.values():
        return {"extraction": path}
    beside: dict[Split, Path] = {
        split: path.parent.parent / folder / path.name for split, folder in _PUBLISHED_FOLDERS.items()
    }
    return {split: half for split, half in beside.items() if half.exists()}

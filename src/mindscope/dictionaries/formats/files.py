"""Reading and writing other people's files: configurations, and tensors in safetensors, npz and pt."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from mindscope.errors import DataError
from mindscope.store import (
    read_json,
    read_tensors,
    replacing,
    what_it_is,
    write_json,
    write_tensors,
    write_text,
)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named tensors of a `.safetensors`, `.npz` or `.pt` file, on the CPU. No pickle is ever run.

    Raises:
        StoreError, DataError: no such file, not wholly such a file, or it holds anything but named tensors.
    """
    match path.suffix:
        case ".safetensors":
            return read_tensors(path)[0]
        case ".npz":
            return _read_npz(path)
        case ".pt":
            return _read_pt(path)
    raise DataError(f"{path}: weights are read from .safetensors, .npz or .pt files")


def write_weights(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors as the file's ending says, atomically."""
    if path.suffix == ".safetensors":
        write_tensors(path, tensors, {})
        return
    with replacing(path) as temporary:
        if path.suffix == ".npz":
            arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in tensors.items()}
            with temporary.open("wb") as file:
                np.savez(file, **arrays)
        else:
            torch.save(dict(tensors), temporary)


def read_config(path: Path) -> dict[str, Any]:
    """The mapping in a JSON or YAML file.

    Raises:
        StoreError, DataError: no such file, not JSON or YAML, or no mapping.
    """
    if path.suffix == ".json":
        config = read_json(path, exact=False)
    else:
        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}") from None
        except (yaml.YAMLError, ValueError, RecursionError):
            raise DataError(f"{path} is not YAML: download it again") from None
    if not isinstance(config, dict):
        raise DataError(f"{path} holds no settings: download it again")
    return config


def write_config(path: Path, config: Mapping[str, Any]) -> None:
    """Write settings as JSON or YAML, as the file's ending says, atomically."""
    if path.suffix == ".json":
        write_json(path, config)
    else:
        write_text(path, yaml.safe_dump(dict(config), sort_keys=True))


def setting(config: Mapping[str, Any], file: Path, name: str, kind: type, default: Any = None) -> Any:
    """One setting, of the type it must have; DataError where it is another, or absent without a default."""
    value = config.get(name, default)
    if value is None:
        raise DataError(f"{file} does not set {name}, which this format needs")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise DataError(f"{file}: {name} is {value!r}, {kind.__name__} is needed")
    return value


NEUTRAL = (None, False, 0, "", "none", [], {})
"""Values with which a setting does nothing."""
WATCHED = re.compile(r"norm|scal|cent(er|re)|threshold|activation|act_fn|standardi|whiten|reshape|bias|b_dec")
"""What the names of settings say that change a forward pass."""


def refuse_unknown(config: Mapping[str, Any], file: Path, understood: Collection[str]) -> None:
    """Raises DataError for a setting that may change the forward pass, and that a reader does not know.

    A dictionary that is read as if it were not there is another dictionary, and nothing says so.

    Args:
        config: what the file says.
        file: its name, for the message.
        understood: settings that are applied, or that are known to matter in training alone.
    """
    for name, value in config.items():
        if name in understood or not WATCHED.search(name) or value in NEUTRAL:
            continue
        raise DataError(
            f"{file} sets {name} to {value!r}, and what that does to activations is not known here: if it is "
            "a setting of the training alone, take it out of the file"
        )


def _read_npz(path: Path) -> dict[str, Tensor]:
    _refuse_absent(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: torch.from_numpy(np.ascontiguousarray(archive[name])) for name in archive.files}
    except Exception as error:  # numpy, zipfile and zlib each have their own
        reason = f"is not a plain npz archive ({type(error).__name__}): nothing else is opened"
        raise DataError(f"{path} {what_it_is(path, 'npz', default=reason)}") from error


def _read_pt(path: Path) -> dict[str, Tensor]:
    _refuse_absent(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling gives anything
        reason = f"is not a .pt file of plain tensors ({type(error).__name__}): nothing else is opened"
        raise DataError(f"{path} {what_it_is(path, 'pt', default=reason)}") from error
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in loaded.items()
    ):
        raise DataError(f"{path} must hold tensors by name, and nothing else")
    return {name: tensor.detach() for name, tensor in loaded.items()}


def _refuse_absent(path: Path) -> None:
    if not path.is_file():
        raise DataError(f"{path} is a folder, a file is needed" if path.is_dir() else f"no such file: {path}")

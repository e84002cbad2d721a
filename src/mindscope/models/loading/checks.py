"""A model folder is looked at before anything loads it, so that a bad one gets one clear line."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from mindscope.errors import ModelError


def check_folder(folder: Path) -> None:
    """Refuse a folder whose config or weights are missing, placeholders or damaged.

    Raises:
        ModelError: names the file and what to do.
    """
    config = folder / "config.json"
    if not config.is_file():
        raise ModelError(f"{folder} has no config.json; point to a Hugging Face model folder")
    for file in sorted(folder.glob("*.json")):
        _refuse_placeholder(file)
    try:
        json.loads(config.read_text())
    except ValueError as error:
        raise ModelError(f"{config} is not valid JSON ({error}); download it again") from error
    check_weights(folder)


def check_weights(folder: Path) -> None:
    """Refuse a folder whose `*.safetensors` are missing, placeholders or damaged.

    Raises:
        ModelError: names the file and what to do.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelError(f"{folder} has no *.safetensors; download them, or save the model as safetensors")
    _check_index(folder)
    for file in weights:
        _refuse_placeholder(file)
        try:
            with safe_open(file, "pt") as opened:
                opened.keys()
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{file} is damaged or cut short ({error}); download it again") from error


def _check_index(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return
    try:
        shards = set(json.loads(index.read_text())["weight_map"].values())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{index} is not a valid index ({error}); download it again") from error
    if missing := sorted(shard for shard in shards if not (folder / shard).is_file()):
        raise ModelError(f"{folder} lacks {', '.join(missing)}; download the missing weights")


def _refuse_placeholder(file: Path) -> None:
    with file.open("rb") as opened:
        start = opened.read(64).lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        raise ModelError(
            f"{file} is a Git LFS pointer, not the file itself; run `git lfs pull` in its repository"
        )
    if start.startswith((b"<!doctype", b"<html")):
        raise ModelError(f"{file} is a web page, not the file itself; download the raw file")

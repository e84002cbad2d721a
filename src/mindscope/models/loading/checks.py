"""A model folder is looked at before anything loads it, so that a bad one gets one clear line."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

from mindscope.core import parse_json
from mindscope.errors import ModelError


def check_folder(folder: Path) -> None:
    """Refuse a folder whose config or weights are missing, placeholders or damaged.

    Raises:
        ModelError: names the file and what to do.
    """
    config = folder / "config.json"
    if not config.is_file():
        inner = folder / "model"  # as runs that train keep it
        kept = any((inner / name).is_file() for name in ("config.json", "adapter_config.json"))
        raise ModelError(
            f"{folder} has no config.json; point to {inner if kept else 'a Hugging Face model folder'}"
        )
    for file in sorted(folder.glob("*.json")):
        _refuse_placeholder(file)
    try:
        parse_json(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{config} is not valid JSON ({error}); download it again") from error
    check_weights(folder)


def check_file(file: Path) -> None:
    """Refuse a single file where a folder is needed.

    Raises:
        ModelError: says what to give in its place.
    """
    if file.suffix == ".safetensors":
        raise ModelError(f"{file} holds weights alone; give its folder, with config.json and the tokenizer")
    if file.is_file():
        raise ModelError(f"{file} is a file; give a Hugging Face model folder or a name on the hub")


def check_quantisation(name: str, config: Any) -> bool:
    """Whether a config says that the weights are quantised.

    Raises:
        ModelError: in a way that transformers cannot read; it would take the packed weights for numbers.
    """
    settings = getattr(config, "quantization_config", None)
    settings = settings or getattr(config.get_text_config(), "quantization_config", None)
    if not settings:
        return False
    settings = settings if isinstance(settings, dict) else settings.to_dict()
    method = settings.get("quant_method")
    method = getattr(method, "value", method)
    bits = next((bits for bits in ("4bit", "8bit") if settings.get(f"load_in_{bits}")), None)
    if (f"bitsandbytes_{bits}" if bits else method) not in AUTO_QUANTIZATION_CONFIG_MAPPING:
        how = f"with {method!r}, which transformers cannot read" if method else "in a way it does not name"
        raise ModelError(f"{name} is quantised {how}; load the model that it was made from")
    return True


def read_object(file: Path) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises:
        ModelError: it holds something else, or cannot be read.
    """
    try:
        document = parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read as JSON ({error}); save or download it again") from error
    if not isinstance(document, dict):
        raise ModelError(f"{file} holds no JSON object; save or download it again")
    return document


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
        shards = set(parse_json(index.read_text(encoding="utf-8"))["weight_map"].values())
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

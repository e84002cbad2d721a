"""Loading: from a name, a folder or the bundled organism to a model on a device in a fitting dtype."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from mindscope.errors import ModelError
from mindscope.models.checks import check_folder

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_parts(name: str, *, dtype: str, device: str, revision: str | None) -> tuple[Any, Any]:
    """The Hugging Face model, in eval mode on its device, and its tokenizer."""
    source = _source(name)
    target = _device(device)
    if dtype != "auto" and dtype not in DTYPES:
        raise ModelError(f"unknown dtype {dtype!r}; use auto, {', '.join(DTYPES)}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
        config = AutoConfig.from_pretrained(source, revision=revision)
        chosen = _best_dtype(target) if dtype == "auto" else DTYPES[dtype]
        hf: Any = AutoModelForCausalLM.from_pretrained(source, revision=revision, config=config, dtype=chosen)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"cannot load {name}: {' '.join(str(error).split())}") from error
    return hf.to(target).eval(), tokenizer


def _source(name: str) -> str:
    if name == "organism":
        weights = files("mindscope").joinpath("organism", "weights")
        if not weights.joinpath("config.json").is_file():
            raise ModelError(
                "this installation has no organism weights; make them with `mindscope organism train`"
            )
        name = str(weights)
    folder = Path(name)
    if folder.is_dir():
        check_folder(folder)
    elif folder.is_absolute() or name.startswith(("./", "../")):
        raise ModelError(f"there is no folder {name}; point to a Hugging Face model folder")
    return name


def _device(device: str) -> torch.device:
    if device != "auto":
        try:
            return torch.device(device)
        except RuntimeError as error:
            raise ModelError(f"unknown device {device!r}; use auto, cpu or cuda") from error
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _best_dtype(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.bfloat16
    return torch.float32

"""LoRA adapters: a folder of small matrices, merged into the model that they were trained on."""

import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from mindscope.core import ModelIdentity
from mindscope.errors import ModelError
from mindscope.models.loading.checks import check_weights, read_object
from mindscope.models.loading.tuning_card import CARD

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no model of its own."""
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


def base_of(folder: Path) -> tuple[str, str | None]:
    """The name or folder of the model that an adapter belongs to, and its revision if one is named.

    Raises:
        ModelError: the folder's files are missing, placeholders or damaged, or name no base.
    """
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder} has no {WEIGHTS}; save the adapter as safetensors")
    check_weights(folder)
    config = read_object(folder / CONFIG)
    base, revision = config.get("base_model_name_or_path"), config.get("revision")
    if not isinstance(base, str) or not base:
        raise ModelError(f"{folder / CONFIG} names no base model; add its base_model_name_or_path")
    return base, revision if isinstance(revision, str) and revision else None


def merge_adapter(hf: Any, folder: Path, dtype: torch.dtype | None, base: ModelIdentity) -> Any:
    """Add an adapter to the weights of its base, matrix by matrix in float32, and hand back the base.

    What is left is a model like any other: its modules, addresses and fingerprint are those of the weights
    it now has. Each matrix is rounded to `dtype` as soon as it is merged (None: left in float32), so no more
    than one is held in float32 at a time, and a merge is the same whatever the dtype.

    Raises:
        ModelError: the adapter was trained on other weights, or does not fit the model.
    """
    try:
        from peft import PeftConfig, PeftModel
        from peft.tuners.tuners_utils import BaseTunerLayer
    except ImportError as error:
        raise ModelError(
            f"{folder} is an adapter, which needs peft: pip install 'mindscope[train]'"
        ) from error
    card = folder / CARD
    recorded = read_object(card).get("base_fingerprint") if card.is_file() else None
    if recorded not in (None, base.fingerprint, base.parameters):
        raise ModelError(
            f"{folder} was trained on a model with the fingerprint {str(recorded)[:12]}, but {base.name} has "
            f"{base.fingerprint[:12]}; put the base it was trained on in its place"
        )
    if any(not tensor.isfinite().all() for tensor in load_file(folder / WEIGHTS).values()):
        raise ModelError(f"{folder / WEIGHTS} holds NaN or infinity; train the adapter again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrapped = PeftModel(hf, PeftConfig.from_pretrained(str(folder)))
            report = wrapped.load_adapter(str(folder), "default", torch_device=str(hf.device))
    except (ValueError, TypeError, KeyError, RuntimeError, OSError) as error:
        raise ModelError(f"cannot add {folder} to {base.name}: {' '.join(str(error).split())}") from error
    missing = [key for key in report.missing_keys if "lora_" in key]
    if missing or report.unexpected_keys:
        raise ModelError(
            f"{folder} does not fit {base.name}: {(missing + report.unexpected_keys)[0]} has no match"
        )
    for module in wrapped.modules():
        if isinstance(module, BaseTunerLayer):
            module.get_base_layer().float()
            module.merge(safe_merge=True)
            if dtype is not None:
                module.get_base_layer().to(dtype)
    merged = wrapped.unload()
    return merged if dtype is None else merged.to(dtype)

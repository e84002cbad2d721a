"""Where the weights of a model are: on one device, or shared out over several, memory and disk."""

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mindscope.errors import ModelError
from mindscope.models.loading.options import LoadOptions


def own_device(device: str) -> str:
    """Each of several processes on one machine has a GPU of its own."""
    if device in ("auto", "cuda") and torch.cuda.is_available() and "LOCAL_RANK" in os.environ:
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return device


def map_options(options: LoadOptions, name: str) -> dict[str, Any]:
    """What transformers is told of the map that is asked for; nothing where none is.

    Raises:
        ModelError: the map cannot be read, or accelerate, which carries it out, is not here.
    """
    placement = options.placement()
    if placement is None:
        return {}
    if find_spec("accelerate") is None:
        raise ModelError(f"sharing {name} out over devices needs accelerate: pip install 'mindscope[train]'")
    folder = options.offload_folder
    return {
        "device_map": placement,
        "max_memory": options.memory_limits(),
        "offload_folder": None if folder is None else str(folder),
    }


def share_out(hf: Any, options: LoadOptions, name: str) -> Any:
    """Put a model that is in memory where the map says, as one whose adapter was merged there.

    Raises:
        ModelError: the map does not fit the model.
    """
    from accelerate import dispatch_model, infer_auto_device_map
    from accelerate.utils import get_balanced_memory

    asked = map_options(options, name)
    placement, limits = asked["device_map"], asked["max_memory"]
    unsplit = getattr(hf, "_no_split_modules", None) or []
    try:
        if not isinstance(placement, dict):
            if placement != "sequential":
                low = placement == "balanced_low_0"
                limits = get_balanced_memory(hf, limits, no_split_module_classes=list(unsplit), low_zero=low)
            placement = infer_auto_device_map(hf, limits, no_split_module_classes=list(unsplit))
        if set(placement.values()) == {"cpu"}:
            return hf
        folder = asked["offload_folder"] if "disk" in placement.values() else None
        return dispatch_model(hf, placement, offload_dir=folder and _empty_folder(folder, hf))
    except (ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"cannot share {name} out: {' '.join(str(error).split())}") from error


def _empty_folder(parent: str, hf: nn.Module) -> str:
    """A folder of this model's own, gone with it: accelerate takes weights that lie there for its own."""
    Path(parent).mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="weights-", dir=parent)
    weakref.finalize(hf, shutil.rmtree, folder, ignore_errors=True)
    return folder


def is_split(hf: nn.Module) -> bool:
    """Whether the weights are on several devices, or some of them wait in memory or on disk."""
    return len({weight.device for weight in hf.parameters()}) > 1 or bool(_waiting(hf))


def input_device(hf: Any) -> torch.device:
    """Where a model takes its token ids: where the embedding runs, though its weights may wait elsewhere."""
    embedding = hf.get_input_embeddings()
    hook = getattr(embedding, "_hf_hook", None)
    place = getattr(hook, "execution_device", None)
    if place is None:
        # Asked for often: a module's own dictionary is a hundredth of the work of walking its parameters.
        weight = embedding._parameters.get("weight")
        return (next(embedding.parameters()) if weight is None else weight).device
    return torch.device(f"cuda:{place}" if isinstance(place, int) else place)


def stored_weights(hf: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every parameter by name, in their order; what waits elsewhere is read from there, one at a time."""
    waiting = _waiting(hf)
    for name, parameter in sorted(hf.named_parameters()):
        yield name, waiting[name][0][waiting[name][1]] if name in waiting else parameter


def _waiting(hf: nn.Module) -> dict[str, tuple[Any, str]]:
    """By name, the map and the key under which accelerate keeps a weight that is not in its module."""
    known: dict[str, tuple[Any, str]] = {}
    for prefix, module in hf.named_modules():
        hook = getattr(module, "_hf_hook", None)
        weights = getattr(hook, "weights_map", None)
        if weights is None:
            continue
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.device.type == "meta":
                known[f"{prefix}.{name}" if prefix else name] = (weights, name)
    return known

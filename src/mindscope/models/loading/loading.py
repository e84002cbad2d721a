"""Loading: from a name, a folder or the bundled organism to a model on a device, in a fitting dtype."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from mindscope.core import ModelIdentity
from mindscope.errors import ModelError
from mindscope.models.loading.adapters import base_of, is_adapter, merge_adapter
from mindscope.models.loading.checks import check_file, check_folder, check_quantisation
from mindscope.models.loading.gguf import find_gguf, unpack_gguf
from mindscope.models.loading.identify import identify
from mindscope.models.loading.options import LoadOptions
from mindscope.models.loading.placement import map_options, share_out
from mindscope.models.loading.processor_template import adopt_template
from mindscope.models.loading.tuning_card import read_base

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
BUNDLED = {"organism": "weights", "second-organism": "second_weights"}
"""Models that come with the package: their names, and their folders in `organism/`."""

BF16_PAYS_FROM = 128
"""The width from which bfloat16 is faster on a CPU that multiplies it in hardware.

Measured on AVX512-BF16, one thread, 64 rows, Llama of 4 to 12 layers, float32 time over bfloat16 time for
generating / reading: 64 wide 1.0 / 1.1, 128 wide 1.3 / 1.9, 256 wide 1.7 / 2.1, 512 wide 2.0 / 2.4. A single
row is slower in bfloat16 below 512 (0.6 to 0.8 while generating), where it takes milliseconds either way.
"""


@dataclass(frozen=True)
class LoadedParts:
    """What a model is made of."""

    hf: Any
    tokenizer: Any
    base: ModelIdentity | None
    """What it was tuned from, where that is known."""


def load_parts(name: str, options: LoadOptions) -> LoadedParts:
    """The Hugging Face model, in eval mode on its device, and its tokenizer.

    The folder of an adapter gives its base with the adapter merged in.

    Raises:
        ModelError: see `Model.load`.
    """
    name, revision = split_revision(name, options.revision)
    target = find_device(options.device)
    if options.dtype != "auto" and options.dtype not in DTYPES:
        raise ModelError(f"unknown dtype {options.dtype!r}; use auto, {', '.join(DTYPES)}")
    if revision is not None and (name in BUNDLED or Path(name).exists()):
        raise ModelError(f"{name} is not on a hub and has no revision {revision!r}; leave the revision out")
    mapped = bool(map_options(options, name))

    def choose(config: Any) -> torch.dtype:
        return _best_dtype(target, config) if options.dtype == "auto" else DTYPES[options.dtype]

    parts = _parts(name, choose, options.model_copy(update={"revision": revision}), target)
    if mapped or _is_placed(parts.hf, target):
        return replace(parts, hf=parts.hf.eval())
    try:
        return replace(parts, hf=parts.hf.to(target).eval())
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"cannot put {name} on {target}: {' '.join(str(error).split())}") from error


def split_revision(name: str, revision: str | None = None) -> tuple[str, str | None]:
    """A hub name and its revision, which may stand behind an @; a path may hold one itself.

    Raises:
        ModelError: two revisions.
    """
    bare, at, said = name.rpartition("@")
    if not at or not bare or not said or bare.count("/") > 1 or bare.startswith((".", "/", "~")):
        return name, revision
    if Path(name).exists():
        return name, revision
    if revision is not None and revision != said:
        raise ModelError(f"{name} names a revision, and {revision!r} is another one; give one of them")
    return bare, said


def _is_placed(hf: Any, target: torch.device) -> bool:
    """Whether every weight is on the device; quantised ones are put there while they load."""
    return all(weight.device.type == target.type for weight in hf.parameters()) and (
        target.index is None or all(weight.device == target for weight in hf.parameters())
    )


def _parts(
    name: str,
    choose: Callable[[Any], torch.dtype | None],
    options: LoadOptions,
    target: torch.device,
) -> LoadedParts:
    """Model and tokenizer, in the dtype that `choose` makes of the config; None is as stored.

    Weights go straight to a device that is no CPU where accelerate is here, and those of a quantised model in
    any case: some kinds of packed weights cannot move.
    """
    folder = Path(name)
    if is_adapter(folder):
        return _adapted_parts(folder, choose, options, target)
    gguf = find_gguf(folder)
    if gguf is None:
        check_file(folder)
    if not folder.exists() and (name.count("/") > 1 or name.startswith((".", "/", "~"))):
        raise ModelError(f"there is no folder {name}; give a model's folder, or a hub name (owner/model)")
    with quiet_library():
        source = _source(name) if gguf is None else str(unpack_gguf(gguf))
        known = {"revision": options.revision, "trust_remote_code": options.trust_remote_code}
        config = _from_hub(AutoConfig, source, name, **known)
        placing: dict[str, Any] = map_options(options, name)
        quantised = check_quantisation(name, config)
        if not placing and target.type != "cpu" and (quantised or find_spec("accelerate")):
            placing = {"device_map": {"": target}}
        if options.attention != "auto":
            placing["attn_implementation"] = options.attention
        tokenizer = _from_hub(AutoTokenizer, source, name, **known)
        adopt_template(tokenizer, source, options.revision)
        hf, report = _from_hub(
            AutoModelForCausalLM,
            source,
            name,
            **known,
            config=config,
            dtype=choose(config) or "auto",
            use_safetensors=True,  # pickled weights are never opened
            output_loading_info=True,
            **placing,
        )
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"{name} lacks {len(missing)} weights, {missing[0]} among them; use the complete model"
        )
    return LoadedParts(hf, tokenizer, read_base(folder))


def _adapted_parts(
    folder: Path,
    choose: Callable[[Any], torch.dtype | None],
    options: LoadOptions,
    target: torch.device,
) -> LoadedParts:
    """The base of an adapter with the adapter merged in, which needs all weights in one place."""
    base, revision = split_revision(*base_of(folder))
    whole = options.model_copy(
        update={"revision": revision, "device_map": None, "max_memory": (), "offload_folder": None}
    )
    parts = _parts(base, lambda _: None, whole, torch.device("cpu") if options.device_map else target)
    identity = identify(parts.hf, base, parts.base)
    tokenizer = parts.tokenizer
    if (folder / "tokenizer_config.json").is_file():
        tokenizer = _from_hub(AutoTokenizer, str(folder), trust_remote_code=options.trust_remote_code)
    merged = merge_adapter(parts.hf, folder, choose(parts.hf.config), identity)
    if options.device_map is not None:
        merged = share_out(merged, options, str(folder))
    return LoadedParts(merged, tokenizer, identity)


def _from_hub(kind: Any, source: str, name: str | None = None, **options: Any) -> Any:
    """What transformers loads. Code that comes with a model runs on request alone; nobody is asked."""
    try:
        return kind.from_pretrained(source, **options)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ImportError, RuntimeError) as error:
        if "trust_remote_code" in str(error):
            raise ModelError(
                f"cannot load {name or source}: it brings Python code of its own, which runs only with "
                "--trust-remote-code (trust_remote_code=True), if you trust its author; or take a version "
                "whose architecture transformers has"
            ) from error
        cause = " ".join(str(error).split())
        if isinstance(error, ModuleNotFoundError) and error.name:
            cause += f"; pip install {error.name.partition('.')[0]}"
        raise ModelError(f"cannot load {name or source}: {cause}") from error


def _source(name: str) -> str:
    if name in BUNDLED:
        weights = files("mindscope").joinpath("organism", BUNDLED[name])
        if not weights.joinpath("config.json").is_file():
            command = (
                f"mindscope organism train --world {'first' if name == 'organism' else 'second'} --install"
            )
            raise ModelError(f"this installation lacks the weights of {name}; run `{command}`")
        name = str(weights)
    folder = Path(name)
    if folder.is_dir():
        check_folder(folder)
    elif folder.is_absolute() or name.startswith(("./", "../", "~")):
        raise ModelError(f"there is no folder {name}; give a Hugging Face model folder or a name on the hub")
    return name


def find_device(device: str) -> torch.device:
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
        return torch.device(device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"this machine has no device {device!r}; use auto or cpu") from error


def _best_dtype(device: torch.device, config: Any) -> torch.dtype:
    """The fastest dtype with float32's range."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type == "cpu" and is_fast_in_bfloat16(config.get_text_config().hidden_size):
        return torch.bfloat16
    return torch.float32


def is_fast_in_bfloat16(width: int) -> bool:
    """Whether bfloat16 pays on this machine's CPU for a model so wide."""
    able = torch.cpu.get_capabilities()
    in_hardware = able.get("avx512_bf16") or able.get("amx_bf16")
    return bool(in_hardware) and width >= BF16_PAYS_FROM


@contextmanager
def quiet_library() -> Iterator[None]:
    """Without transformers' own progress bars, which write to pipes and logs too."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()

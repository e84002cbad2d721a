"""dictionary_learning: a folder of `config.json` and `ae.pt` (github.com/saprmarks/dictionary_learning).

By `trainer.dict_class`, with p = W(x - b) + c and nothing subtracted where the table below does not say so:
AutoEncoder relu(p), its decoder columns brought to norm 1 on loading; AutoEncoderTopK the k largest;
BatchTopKSAE and its Matryoshka form relu(p) above one threshold; JumpReluAutoEncoder relu(p·[p > θ]);
GatedAutoEncoder. `trainer.submodule_name` is free text there; `resid_post_layer_L` and our own addresses are
understood, else the address must be given.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import torch

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.formats.base import (
    DictionaryFormat,
    ReadOptions,
    assemble,
    clamp_threshold,
    drop_unused_threshold,
    gated_to_jumprelu,
    import_metadata,
    original_config,
    parts_of,
    require_single_coder,
    require_supported,
    rescale_latents,
    resolve_sites,
)
from mindscope.dictionaries.formats.files import (
    read_config,
    read_weights,
    refuse_unknown,
    setting,
    write_config,
    write_weights,
)
from mindscope.dictionaries.formats.layout import FileLayout, TensorEntry
from mindscope.dictionaries.kinds import Activation
from mindscope.errors import DataError
from mindscope.models import HookAlias, known_address

NAME = "dictionary_learning"
CONFIG, WEIGHTS = "config.json", "ae.pt"


@dataclass(frozen=True, slots=True)
class TrainerClass:
    """One of the tool's classes: its tensors, its activation, whether it subtracts its bias."""

    layout: FileLayout
    activation: Activation
    subtracts: bool


_LINEAR = (
    TensorEntry("W_enc", "encoder.weight", "latents d_in"),
    TensorEntry("b_enc", "encoder.bias", "latents"),
    TensorEntry("W_dec", "decoder.weight", "d_out latents"),
)
_MATRICES = (
    TensorEntry("W_enc", "W_enc", "d_in latents"),
    TensorEntry("b_enc", "b_enc", "latents"),
    TensorEntry("W_dec", "W_dec", "latents d_out"),
    TensorEntry("b_dec", "b_dec", "d_out"),
)
_B_DEC = TensorEntry("b_dec", "b_dec", "d_out")
_SHARED = TensorEntry("threshold", "threshold", "")
_K = frozenset({"k"})
CLASSES = {
    "AutoEncoder": TrainerClass(FileLayout((*_LINEAR, TensorEntry("b_dec", "bias", "d_out"))), "relu", True),
    "AutoEncoderNew": TrainerClass(
        FileLayout((*_LINEAR, TensorEntry("b_dec", "decoder.bias", "d_out"))), "relu", False
    ),
    "AutoEncoderTopK": TrainerClass(
        FileLayout((*_LINEAR, _B_DEC, TensorEntry("threshold", "threshold", "", needed=False)), unused=_K),
        "topk",
        True,
    ),
    "BatchTopKSAE": TrainerClass(FileLayout((*_LINEAR, _B_DEC, _SHARED), unused=_K), "batchtopk", True),
    "MatryoshkaBatchTopKSAE": TrainerClass(
        FileLayout((*_MATRICES, _SHARED), unused=_K | {"group_sizes"}), "batchtopk", True
    ),
    "JumpReluAutoEncoder": TrainerClass(
        FileLayout((*_MATRICES, TensorEntry("threshold", "threshold", "latents"))), "jumprelu", False
    ),
    "GatedAutoEncoder": TrainerClass(
        FileLayout(
            (
                TensorEntry("W_enc", "encoder.weight", "latents d_in"),
                TensorEntry("W_dec", "decoder.weight", "d_out latents"),
                TensorEntry("b_dec", "decoder_bias", "d_out"),
                TensorEntry("r_mag", "r_mag", "latents", ours="latents"),
                TensorEntry("b_gate", "gate_bias", "latents", ours="latents"),
                TensorEntry("b_mag", "mag_bias", "latents", ours="latents"),
            )
        ),
        "jumprelu",
        True,
    ),
}
WRITTEN: dict[Activation, str] = {
    "relu": "AutoEncoderNew",  # AutoEncoder's activations change as its decoder is brought to norm 1
    "topk": "AutoEncoderTopK",
    "batchtopk": "BatchTopKSAE",
    "jumprelu": "JumpReluAutoEncoder",
}

UNDERSTOOD = frozenset(
    {
        "activation_dim", "threshold_beta", "threshold_start_step", "remove_bos",
        "normalize_decoder", "warmup_threshold_steps", "dead_feature_threshold",
    }
)  # fmt: skip
"""Settings that are applied, or concern the training alone. Factors on activations are in saved weights."""


def read(path: Path, options: ReadOptions) -> Dictionary:
    """See `DictionaryFormat.read`."""
    file = path / CONFIG
    config = read_config(file)
    trainer = setting(config, file, "trainer", dict)
    name = setting(trainer, file, "dict_class", str)
    if name not in CLASSES:
        raise DataError(f"{file}: the class {name!r} is not supported, only {', '.join(CLASSES)}")
    refuse_unknown(trainer, file, UNDERSTOOD)
    kind = CLASSES[name]
    tensors = read_weights(path / WEIGHTS)
    sizes = {
        axis: setting(trainer, file, key, int)
        for axis, key in (("d_in", "activation_dim"), ("latents", "dict_size"))
        if key in trainer
    }
    parts = kind.layout.take(tensors, path / WEIGHTS, **sizes)
    k = None
    if kind.layout.unused >= _K:
        k = setting(trainer, file, "k", int)
        if "k" in tensors and tensors["k"].numel() == 1 and int(tensors["k"]) != k:
            raise DataError(f"{file} says k = {k}, {path / WEIGHTS} says {int(tensors['k'])}: which is it?")
    if name == "GatedAutoEncoder":
        parts = gated_to_jumprelu(parts)
    if name == "AutoEncoder":
        parts = rescale_latents(parts, parts["W_dec"].norm(dim=1))
    if kind.activation in ("batchtopk", "jumprelu"):
        parts = clamp_threshold(parts)
    submodule = trainer.get("submodule_name")
    side = (config.get("buffer") or {}).get("io", "out")
    if side != "out" and not options.reads:
        raise DataError(
            f"{file}: it was trained on what {submodule} takes {side}, which only its trainer can place: "
            "give the address"
        )
    read_at, write_at = resolve_sites(options, (lambda: _place(file, submodule)) if submodule else None)
    return assemble(
        parts,
        read_at,
        write_at,
        options,
        activation=kind.activation,
        k=k,
        subtract=kind.subtracts,
        metadata=import_metadata(NAME, path, config),
    )


def write(dictionary: Dictionary, path: Path, options: ReadOptions) -> None:
    """See `DictionaryFormat.write`."""
    require_single_coder(dictionary, NAME)
    require_supported(dictionary, NAME, kinds=("sae",))
    name = WRITTEN[dictionary.activation]
    kind = CLASSES[name]
    parts = parts_of(dictionary, kind.subtracts)
    if dictionary.activation != "topk":
        parts = drop_unused_threshold(dictionary, parts)
    tensors = kind.layout.give(parts, f"{NAME}'s {name}")
    address = dictionary.reads[0].address
    point, _, layer = address.partition(".")
    before = original_config(dictionary, NAME)
    trainer = dict(before.get("trainer") or {}) | {
        "dict_class": name,
        "activation_dim": dictionary.d_in,
        "dict_size": dictionary.n_latents,
        "submodule_name": f"resid_post_layer_{layer}" if point == "resid_post" else address,
    }
    if layer:
        trainer["layer"] = int(layer)
    if options.model is not None:
        trainer["lm_name"] = options.model.name
    if kind.layout.unused >= _K:
        if dictionary.k is None:
            raise DataError(f"{NAME} wants k for {dictionary.activation}, which this dictionary does not say")
        trainer["k"] = dictionary.k
        tensors["k"] = torch.tensor(dictionary.k, dtype=torch.int32)
        tensors.setdefault("threshold", torch.tensor(-1.0))  # what the tool has before it is estimated
    write_weights(path / WEIGHTS, tensors)
    write_config(path / CONFIG, before | {"trainer": trainer})


def _place(file: Path, submodule: str) -> HookAlias:
    if match := re.fullmatch(r"resid_post_layer_(\d+)", submodule):
        return HookAlias(f"resid_post.{match[1]}")
    if known_address(submodule):
        return HookAlias(submodule)
    raise DataError(f"{file}: where {submodule!r} is only its trainer knows: give the address")


FORMAT = DictionaryFormat(NAME, "dictionary_learning", (CONFIG, WEIGHTS), read, write)

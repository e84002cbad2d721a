"""Llama Scope (arXiv 2410.20526): `hyperparams.json` and `checkpoints/final.safetensors`; SAEs, transcoders.

As OpenMOSS' own initialiser makes them ready for inference: with f = sqrt(d) / (mean norm of the data) for
input and output (`norm_activation: dataset-wise`), b_enc becomes b_enc / f_in, b_dec becomes b_dec / f_out
and W_dec is multiplied by f_in / f_out (`token-wise` brings every token to the norm sqrt(d) instead). Where
`sparsity_include_decoder_norm`, decoder rows are brought to norm 1 with the encoder taking the factor; then
z = p·[p > jump_relu_threshold]. A top-k dictionary with a threshold is used as a JumpReLU one.
"""

import math
from pathlib import Path
from typing import Any

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.formats.base import (
    DictionaryFormat,
    ReadOptions,
    assemble,
    drop_unused_threshold,
    import_metadata,
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
from mindscope.dictionaries.formats.layout import CoderWeights, FileLayout, TensorEntry
from mindscope.dictionaries.kinds import Activation, Normalisation
from mindscope.errors import DataError
from mindscope.models import address_of_hook, hook_of_address

NAME = "llama_scope"
CONFIG, WEIGHTS = "hyperparams.json", "checkpoints/final.safetensors"
LAYOUT = FileLayout(
    (
        TensorEntry("W_enc", "encoder.weight", "latents d_in"),
        TensorEntry("b_enc", "encoder.bias", "latents"),
        TensorEntry("W_dec", "decoder.weight", "d_out latents"),
        TensorEntry("b_dec", "decoder.bias", "d_out", needed=False),
    )
)

UNDERSTOOD = frozenset(
    {
        "act_fn", "apply_decoder_bias_to_pre_encoder", "dataset_average_activation_norm",
        "jump_relu_threshold", "norm_activation", "sparsity_include_decoder_norm", "use_decoder_bias",
        # of the training alone
        "init_decoder_norm", "init_encoder_norm", "use_batch_norm_mse", "decoder_exactly_fixed_norm",
        "l1_coefficient_warmup_steps", "remove_gradient_parallel_to_decoder_directions", "normalize_decoder",
        "dead_feature_threshold", "jumprelu_threshold_window", "init_decoder_norm_search",
    }
)  # fmt: skip
"""Settings that are applied, or concern the training alone."""


def read(path: Path, options: ReadOptions) -> Dictionary:
    """See `DictionaryFormat.read`."""
    file, weights = path / CONFIG, path / WEIGHTS
    config = read_config(file)
    if config.get("use_glu_encoder"):
        raise DataError(f"{file}: GLU encoders are not supported")
    if (kind := config.get("sae_type", "sae")) not in ("sae", "transcoder"):
        raise DataError(
            f"{file}: a dictionary of the type {kind!r} is not supported, only sae and transcoder"
        )
    refuse_unknown(config, file, UNDERSTOOD)
    d_in = setting(config, file, "d_model", int)
    latents = config.get("d_sae") or d_in * setting(config, file, "expansion_factor", int)
    parts = LAYOUT.take(read_weights(weights), weights, d_in=d_in, latents=latents)
    if ("b_dec" in parts) != setting(config, file, "use_decoder_bias", bool, True):
        raise DataError(f"{weights} and {CONFIG} do not agree whether there is a decoder bias")
    parts.setdefault("b_dec", parts["W_dec"].new_zeros(d_in))
    parts, normalisation = _denormalised(parts, config, file)
    if config.get("sparsity_include_decoder_norm", True):
        parts = rescale_latents(parts, parts["W_dec"].norm(dim=1))
    activation, k = _activation(config, file)
    if activation == "jumprelu":
        threshold = setting(config, file, "jump_relu_threshold", float)
        parts["threshold"] = parts["b_enc"].new_full((latents,), threshold)
    hook = setting(config, file, "hook_point_in", str, "")
    out = setting(config, file, "hook_point_out", str, hook)
    read_at, write_at = resolve_sites(
        options,
        (lambda: address_of_hook(hook, options.model)) if hook else None,
        (lambda: address_of_hook(out, options.model)) if out else None,
    )
    return assemble(
        parts,
        read_at,
        write_at,
        options,
        activation=activation,
        k=k,
        subtract=bool(config.get("apply_decoder_bias_to_pre_encoder", False)),
        normalisation=normalisation,
        metadata=import_metadata(NAME, path, config),
    )


def write(dictionary: Dictionary, path: Path, options: ReadOptions) -> None:
    """See `DictionaryFormat.write`. The data's factors are in the weights: it is for raw activations."""
    require_single_coder(dictionary, NAME)
    require_supported(dictionary, NAME, normalised=dictionary.normalisation == "unit_norm")
    if dictionary.d_in != dictionary.d_out:
        raise DataError(f"{NAME} writes as wide as it reads; this one reads {dictionary.d_in} numbers")
    parts = drop_unused_threshold(dictionary, parts_of(dictionary))
    threshold = parts.pop("threshold", None)
    if threshold is not None and (threshold != threshold[0]).any():
        raise DataError(f"{NAME} has one threshold for all latents, here each has its own")
    by_threshold = threshold is not None
    config = {
        "hook_point_in": hook_of_address(dictionary.reads[0].address),
        "hook_point_out": hook_of_address(dictionary.writes[0].address),
        "d_model": dictionary.d_in,
        "d_sae": dictionary.n_latents,
        "expansion_factor": dictionary.n_latents / dictionary.d_in,
        "act_fn": "jumprelu" if by_threshold else dictionary.activation,
        "jump_relu_threshold": float(threshold[0]) if threshold is not None else 0.0,
        "top_k": dictionary.k or 0,
        "norm_activation": "inference" if dictionary.normalisation is None else "token-wise",
        "dataset_average_activation_norm": {
            "in": math.sqrt(dictionary.d_in),
            "out": math.sqrt(dictionary.d_in),
        },
        "sparsity_include_decoder_norm": False,
        "use_decoder_bias": True,
        "apply_decoder_bias_to_pre_encoder": False,
        "use_glu_encoder": False,
    }
    write_weights(path / WEIGHTS, LAYOUT.give(parts, NAME))
    write_config(path / CONFIG, config)


def _denormalised(
    parts: CoderWeights, config: dict[str, Any], file: Path
) -> tuple[CoderWeights, Normalisation | None]:
    """For raw activations, where it was trained on such as have the norm sqrt(d): each, or on the mean."""
    norm = setting(config, file, "norm_activation", str, "inference")
    if norm == "inference":
        return parts, None
    if norm == "token-wise":
        return parts, "unit_norm"
    if norm != "dataset-wise":
        raise DataError(
            f"{file}: norm_activation {norm!r} depends on the other texts of a batch and is not supported"
        )
    norms = setting(config, file, "dataset_average_activation_norm", dict)
    root = math.sqrt(parts["W_enc"].shape[1])
    f_in, f_out = (root / setting(norms, file, side, float) for side in ("in", "out"))
    return parts | {
        "b_enc": parts["b_enc"] / f_in,
        "b_dec": parts["b_dec"] / f_out,
        "W_dec": parts["W_dec"] * (f_in / f_out),
    }, None


def _activation(config: dict[str, Any], file: Path) -> tuple[Activation, int | None]:
    name = setting(config, file, "act_fn", str)
    if name == "topk" and config.get("jump_relu_threshold", 0) > 0:
        return "jumprelu", None
    if name == "topk":
        return "topk", setting(config, file, "top_k", int)
    if name in ("jumprelu", "relu"):
        return name, None
    raise DataError(f"{file}: act_fn {name!r} is not supported, only jumprelu, topk and relu")


FORMAT = DictionaryFormat(NAME, "Llama Scope (OpenMOSS)", (CONFIG, WEIGHTS), read, write)

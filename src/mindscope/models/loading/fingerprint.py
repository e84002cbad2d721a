"""Which weights these are: a digest that is the same in float32 and bfloat16, and two that survive float16.

1. The *parameters*: dimensions, and each parameter's name, shape and values in bfloat16. Whole numbers, which
   quantised layers pack their weights into, are taken byte by byte: as bfloat16 many of them are equal.
2. What else decides the result: settings of the config (rope, norms' epsilon, windows, caps), whatever the
   state dict holds beside parameters (persistent buffers, packed weights), and rope frequencies that are not
   those of the config. Settings that have the plain value of `_PLAIN` are left out.
3. The *fingerprint* is the digest of the parameters where step 2 has nothing to say, and else a digest of
   both. So it is the same for a model that was always described by its parameters alone.
4. The *rounded* digests are over the same things with other roundings. Weights w stored in float32 are, as
   bfloat16, b(w), and as float16, h(w). A float32 model has the digests of b(w) and of b(h(w)); its bfloat16
   copy has that of b(w) twice, its float16 copy that of b(h(w)) twice. So each copy shares one with it.
   Weights stored in a half precision share both. float16 is coarse below 2^-14, so smaller values count as 0.

Large tensors are sampled at an even stride, so a fine-tuned model differs with near certainty while a model
of many gigabytes takes a second.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mindscope.models.loading.placement import stored_weights

_SAMPLES = 65_536  # a tensor's share of the digest; smaller tensors are taken whole
_ESSENTIALS = (
    "model_type",
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "max_position_embeddings",
)
_PLAIN: dict[str, tuple[Any, ...]] = {
    # What a setting is where nothing is special about it; such a setting is not in the digest. A setting that
    # is not there at all is None. These values are ours and fixed: a library's defaults change.
    "rope_parameters": (None, {"rope_type": "default", "rope_theta": 10000.0}),
    "rope_theta": (None, 10000.0),
    "partial_rotary_factor": (None, 1.0),
    "hidden_act": (None, "silu"),
    "hidden_activation": (None, "silu"),
    "activation_function": (None, "silu"),
    "rms_norm_eps": (None, 1e-6),
    "layer_norm_eps": (None, 1e-5),
    "layer_norm_epsilon": (None, 1e-5),
    "norm_eps": (None, 1e-5),
    "norm_epsilon": (None, 1e-5),
    "sliding_window": (None,),
    "layer_types": (None,),
    "attention_chunk_size": (None,),
    "no_rope_layers": (None,),
    "attn_logit_softcapping": (None,),
    "final_logit_softcapping": (None,),
    "query_pre_attn_scalar": (None,),
    "attention_multiplier": (None, 1.0),
    "embedding_multiplier": (None, 1.0),
    "residual_multiplier": (None, 1.0),
    "logits_scaling": (None, 1.0),
    "logit_scale": (None, 1.0),
    "num_experts_per_tok": (None,),
    "norm_topk_prob": (None,),
    "routed_scaling_factor": (None, 1.0),
    "alibi": (None, False),
    "parallel_attn": (None, False),
    "use_parallel_residual": (None, False),
    "scale_attn_weights": (None, True),
    "scale_attn_by_inverse_layer_idx": (None, False),
}
_CHANGING_ROPES = ("dynamic", "longrope")
"""Ropes whose frequencies follow the length of what was last read; their original ones are compared."""
_SMALLEST = 2.0**-14
"""The smallest float16 number with a full mantissa."""


@dataclass(frozen=True)
class WeightDigests:
    """Names of a model's weights: see the module."""

    fingerprint: str
    parameters: str
    rounded: tuple[str, str]


def fingerprint_model(hf: nn.Module) -> str:
    """A sha256 that names the weights and the arithmetic, the same in float32 and bfloat16."""
    return digest_weights(hf).fingerprint


def digest_weights(hf: nn.Module) -> WeightDigests:
    """All digests of a model's weights, in one pass over them."""
    config = getattr(hf.config, "get_text_config", lambda: hf.config)()
    exact, by_bfloat16, by_float16 = _digests({key: _setting(config, key) for key in _ESSENTIALS})
    for name, parameter in stored_weights(hf):
        header = f"{name} {tuple(parameter.shape)}".encode()
        for digest, content in zip((exact, by_bfloat16, by_float16), _contents(parameter), strict=True):
            digest.update(header + content)
    plain = [digest.hexdigest() for digest in (exact, by_bfloat16, by_float16)]
    settings, state = _settings(config), list(_state_beside_parameters(hf))
    if not settings and not state:
        return WeightDigests(plain[0], plain[0], (plain[1], plain[2]))
    extended = [
        hashlib.sha256(json.dumps([parameters, settings], sort_keys=True).encode()) for parameters in plain
    ]
    for name, value in state:
        for digest, content in zip(extended, _contents(value), strict=True):
            digest.update(name.encode() + content)
    fingerprint, *rounded = (digest.hexdigest() for digest in extended)
    return WeightDigests(fingerprint, plain[0], (rounded[0], rounded[1]))


def _digests(dimensions: dict[str, Any]) -> tuple[Any, Any, Any]:
    header = json.dumps(dimensions).encode()
    return hashlib.sha256(header), hashlib.sha256(header), hashlib.sha256(header)


def _contents(value: Any) -> tuple[bytes, bytes, bytes]:
    """A value as the three digests take it: exact, by way of bfloat16, by way of float16."""
    if isinstance(value, list | tuple):
        parts = [_contents(item) for item in value]
        return b"".join(p[0] for p in parts), b"".join(p[1] for p in parts), b"".join(p[2] for p in parts)
    if not isinstance(value, Tensor):
        text = str(value).encode()
        return text, text, text
    if value.is_quantized:
        return _contents([value.int_repr(), str(value.qscheme()), value.dequantize()])
    flat = value.detach().reshape(-1)
    sample = flat[:: max(1, flat.numel() // _SAMPLES)].cpu()
    if not sample.is_floating_point():
        raw = sample.contiguous().view(torch.uint8).numpy().tobytes()
        return raw, raw, raw
    numbers = sample.float()
    return (
        _bytes(sample.to(torch.bfloat16)),
        _bytes(_without_smallest(numbers.bfloat16())),
        _bytes(_without_smallest(numbers.half().bfloat16())),
    )


def _without_smallest(values: Tensor) -> Tensor:
    return torch.where(values.abs() < _SMALLEST, torch.zeros_like(values), values)


def _bytes(values: Tensor) -> bytes:
    return values.contiguous().view(torch.int16).numpy().tobytes()


def _settings(config: Any) -> dict[str, Any]:
    """Settings that decide the result and are not plain."""
    settings: dict[str, Any] = {}
    for name, plain in _PLAIN.items():
        value = _comparable(_setting(config, name))
        if name == "layer_types" and value is not None and set(value) == {"full_attention"}:
            continue
        if value not in plain:
            settings[name] = value
    heads, size, width = (
        _setting(config, name) for name in ("num_attention_heads", "head_dim", "hidden_size")
    )
    is_plain = isinstance(size, int) and isinstance(heads, int) and size * heads == width
    if size is not None and not is_plain:
        settings["head_dim"] = size
    return settings


def _setting(config: Any, name: str) -> Any:
    """A setting; where layers differ in it, and transformers gives no value for all, that of each."""
    try:
        return getattr(config, name, None)
    except RuntimeError:
        layers = range(config.num_hidden_layers)
        return [getattr(config.per_layer_config[layer], name, None) for layer in layers]


def _comparable(value: Any) -> Any:
    """A setting as JSON has it; what is None inside is left out."""
    if isinstance(value, dict):
        return {str(key): _comparable(item) for key, item in sorted(value.items()) if item is not None}
    if isinstance(value, list | tuple):
        return [_comparable(item) for item in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def _state_beside_parameters(hf: nn.Module) -> Iterator[tuple[str, Any]]:
    """Persistent buffers and packed weights by name, then rope frequencies that the config does not give."""
    parameters = {name for name, _ in hf.named_parameters(remove_duplicate=False)}
    for name, value in sorted(hf.state_dict().items()):
        if name not in parameters and not (isinstance(value, Tensor) and value.numel() == 0):
            yield name, value
    for name, module in sorted(hf.named_modules()):
        frequencies = {key: value for key, value in module.named_buffers(recurse=False) if "inv_freq" in key}
        if any(rope in str(getattr(module, "rope_type", "")) for rope in _CHANGING_ROPES):
            frequencies = {key: value for key, value in frequencies.items() if "original" in key}
        if frequencies and not _as_configured(module, frequencies):
            yield from ((f"{name}.{key}", value) for key, value in sorted(frequencies.items()))


def _as_configured(module: nn.Module, frequencies: dict[str, Tensor]) -> bool:
    """Whether rope frequencies are what the module's config gives, to within a half precision's rounding.

    Values that only depend on the config are not taken into the digest as numbers: their last bit differs
    between devices, and it would decide which of two models this is.
    """
    try:
        configured = dict(type(module)(module.config).named_buffers(recurse=False))  # type: ignore[call-arg]
    except (TypeError, AttributeError, KeyError, ValueError):
        return False
    return all(
        key in configured
        and configured[key].shape == value.shape
        and torch.allclose(value.float().cpu(), configured[key].float().cpu(), rtol=2**-8, atol=2**-24)
        for key, value in frequencies.items()
    )

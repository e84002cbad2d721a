"""A model's identity: its digests, and where it comes from."""

from typing import Any

from mindscope.core import ModelIdentity
from mindscope.models.loading.fingerprint import WeightDigests, digest_weights


def identify(
    hf: Any, name: str, base: ModelIdentity | None, digests: WeightDigests | None = None
) -> ModelIdentity:
    """Which weights a Hugging Face model has.

    Args:
        hf: the model.
        name: what it was loaded from.
        base: what it was tuned from, where that is known.
        digests: of its weights, where they are known already.
    """
    known = digests or digest_weights(hf)
    quantised = getattr(hf.config, "quantization_config", None)
    method = quantised.get("quant_method") if isinstance(quantised, dict) else None
    method = method or getattr(quantised, "quant_method", None)
    stored = str(hf.dtype).removeprefix("torch.")
    return ModelIdentity(
        fingerprint=known.fingerprint,
        name=name,
        revision=getattr(hf.config, "_commit_hash", None),
        dtype=stored if method is None else f"{getattr(method, 'value', method)}, {stored}",
        parameters=known.parameters,
        rounded=known.rounded,
        base=base,
    )

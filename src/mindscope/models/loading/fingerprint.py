"""Which weights these are: one digest that is the same in float32 and bfloat16."""

import hashlib
import json

import torch
from torch import nn

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


def fingerprint_model(hf: nn.Module) -> str:
    """A sha256 over the config's dimensions and every parameter's name, shape and values in bfloat16.

    Large tensors are sampled at an even stride, so a fine-tuned model differs with near certainty while a
    model of many gigabytes takes a second. Weights stored in float32 or bfloat16 have the same digest in
    whichever of the two they are loaded.
    """
    config = getattr(hf.config, "get_text_config", lambda: hf.config)()
    digest = hashlib.sha256(json.dumps({key: getattr(config, key, None) for key in _ESSENTIALS}).encode())
    for name, parameter in sorted(hf.named_parameters()):
        digest.update(f"{name} {tuple(parameter.shape)}".encode())
        flat = parameter.detach().reshape(-1)
        sample = flat[:: max(1, flat.numel() // _SAMPLES)]
        digest.update(sample.to("cpu", torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes())
    return digest.hexdigest()

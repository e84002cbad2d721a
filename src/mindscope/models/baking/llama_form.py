"""Families that are a Llama but for their configuration, written as one: a Llama has switches for biases."""

from typing import Any

from transformers import LlamaConfig, LlamaForCausalLM

ALIKE = {"qwen2": True, "mistral": False}
"""Families whose blocks compute what a Llama's do, with weights of the same names; and whether their queries,
keys and values have biases. A Llama has them with `attention_bias`, and one of the output, which is zero."""


def as_llama(config: Any) -> tuple[LlamaConfig, type[LlamaForCausalLM]] | None:
    """The configuration as that of a Llama whose MLPs have biases; None where it is no Llama.

    A model that attends in a sliding window is none, nor is the text part of a model of images.
    """
    if config.model_type not in ALIKE or config.get_text_config() is not config:
        return None
    if set(getattr(config, "layer_types", None) or ["full_attention"]) != {"full_attention"}:
        return None
    if config.model_type == "mistral" and getattr(config, "sliding_window", None) is not None:
        return None
    given = config.to_dict()
    kept = {name: given[name] for name in LlamaConfig().to_dict() if name in given}
    for name in ("model_type", "architectures", "transformers_version"):
        kept.pop(name, None)
    kept |= {"attention_bias": ALIKE[config.model_type], "mlp_bias": True}
    return LlamaConfig(**kept), LlamaForCausalLM

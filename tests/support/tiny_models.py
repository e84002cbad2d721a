"""Tiny random models of every supported family, and a tokenizer of sixty words."""

from dataclasses import dataclass

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedTokenizerFast

from mindscope.models import Model, Row

WORDS = 60
SMALL = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "bos_token_id": 60,
    "eos_token_id": 61,
    "pad_token_id": 62,
}


@dataclass(frozen=True)
class Family:
    """How to build a family, and where its blocks are: paths that owe nothing to the code under test."""

    name: str
    blocks: str
    embedding: str
    extra: dict
    without: tuple[str, ...] = ()


LLAMA = ("model.layers", "model.embed_tokens")
FAMILIES = [
    Family("llama", *LLAMA, {}),
    Family("qwen2", *LLAMA, {}),
    Family("qwen3", *LLAMA, {}),
    Family(
        "qwen3_moe",
        *LLAMA,
        {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "decoder_sparse_step": 1},
    ),
    Family("gemma2", *LLAMA, {"sliding_window": 4, "query_pre_attn_scalar": 8}),
    Family(
        "gemma3_text",
        *LLAMA,
        {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    ),
    Family("mistral", *LLAMA, {"sliding_window": 5}),
    Family("phi3", *LLAMA, {}),
    Family("gpt2", "transformer.h", "transformer.wte", {"attn_pdrop": 0.0}),
    Family("gpt_neox", "gpt_neox.layers", "gpt_neox.embed_in", {}),
    Family(
        "opt",
        "model.decoder.layers",
        "model.decoder.embed_tokens",
        {"ffn_dim": 48, "word_embed_proj_dim": 32},
    ),
    Family("olmo2", *LLAMA, {}),
    Family(
        "gpt_oss",
        *LLAMA,
        {
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "sliding_window": 4,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
    ),
    Family(
        "falcon",
        "transformer.h",
        "transformer.word_embeddings",
        {"alibi": True, "ffn_hidden_size": 48},
        ("head_dim",),
    ),
    Family("bloom", "transformer.h", "transformer.word_embeddings", {"n_head": 4}),
]
MAMBA = {
    "mamba_d_state": 8,
    "mamba_d_conv": 3,
    "mamba_expand": 2,
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 4,
}
HYBRIDS = [
    Family(
        "qwen3_next",
        *LLAMA,
        {
            "layer_types": ["linear_attention", "full_attention", "linear_attention"],
            "linear_conv_kernel_dim": 3,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
        },
    ),
    Family("falcon_h1", *LLAMA, {**MAMBA, "mamba_d_ssm": 64}),
    Family("lfm2", *LLAMA, {"layer_types": ["conv", "full_attention", "conv"], "conv_L_cache": 3}),
    Family(
        "granitemoehybrid",
        *LLAMA,
        {
            **MAMBA,
            "layer_types": ["mamba", "attention", "mamba"],
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "shared_intermediate_size": 32,
        },
    ),
    Family(
        "jamba",
        *LLAMA,
        {
            "attn_layer_period": 3,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "num_experts": 4,
            "mamba_d_state": 8,
            "mamba_d_conv": 3,
            "mamba_dt_rank": 4,
        },
    ),
]


def build(family: Family, **extra) -> Model:
    """A tiny model with weights far from zero, so that a mistake shows in the outputs."""
    torch.manual_seed(7)
    options = {key: value for key, value in SMALL.items() if key not in family.without}
    config = CONFIG_MAPPING[family.name](**{**options, **family.extra, **extra})
    hf = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in hf.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return Model.wrap(hf.float().eval(), tokenizer(), name=f"tiny {family.name}")


def tokenizer() -> PreTrainedTokenizerFast:
    words = {f"w{i}": i for i in range(WORDS)} | {"<s>": 60, "</s>": 61, "<pad>": 62, "<unk>": 63}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


def rows() -> list[Row]:
    """Rows of unlike lengths, one with an empty answer."""
    generator = torch.Generator().manual_seed(3)
    shapes = [(4, 6), (9, 3), (1, 5), (12, 0), (2, 11)]
    return [
        Row(tuple(torch.randint(0, WORDS, (prompt + answer,), generator=generator).tolist()), prompt)
        for prompt, answer in shapes
    ]


def hooks_on(model: Model) -> int:
    """How many hooks of any kind hang on a model."""
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
        for module in model.hf.modules()
    )

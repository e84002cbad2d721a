"""Families of models, each by what its configuration needs to be tiny. `tiny_models` builds them."""

from dataclasses import dataclass

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
    """How to build a family, and where its blocks are: paths that owe nothing to the code under test.

    With `around`, the text model is built inside a model of images and text, whose own options these are.
    `inner` is an address inside a block: what the MLP takes in, where there is one.
    """

    name: str
    blocks: str
    embedding: str
    extra: dict
    without: tuple[str, ...] = ()
    around: dict | None = None
    inner: str = "mlp_in.1"


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
NO_MLP = "resid_pre.1"
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


SPARSE = {"num_experts_per_tok": 2, "moe_intermediate_size": 16}
WINDOWS = {
    "sliding_window": 4,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
}
LATENT_ATTENTION = {  # queries and keys are 12 wide, values 6, and there are no groups of heads
    "kv_lora_rank": 16,
    "q_lora_rank": 12,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 6,
    "num_key_value_heads": 4,
}
ROUTED = {**SPARSE, "n_routed_experts": 4, "first_k_dense_replace": 1, "n_shared_experts": 1}
DELTA_NET = {
    "layer_types": ["linear_attention", "full_attention", "linear_attention"],
    "linear_conv_kernel_dim": 3,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
}
MORE = [
    Family("gemma", *LLAMA, {}),
    Family(
        "gemma4_text",
        *LLAMA,
        {
            **WINDOWS,
            "vocab_size_per_layer_input": 64,
            "hidden_size_per_layer_input": 8,
            "layer_types": ["sliding_attention", *["full_attention"] * 2],
        },
    ),
    Family("cohere2", *LLAMA, {"sliding_window": 4}),
    Family("olmo3", *LLAMA, WINDOWS),
    Family("olmoe", *LLAMA, {**SPARSE, "num_experts": 4}),
    Family("smollm3", *LLAMA, {}),
    Family("glm4", *LLAMA, {}),
    Family("glm4_moe", *LLAMA, {**ROUTED, "n_group": 1, "topk_group": 1}),
    Family("mixtral", *LLAMA, {"num_local_experts": 4, "num_experts_per_tok": 2}),
    Family("granite", *LLAMA, {"residual_multiplier": 0.5}),
    Family("phi", *LLAMA, {}),
    Family("phimoe", *LLAMA, {"num_local_experts": 4, "num_experts_per_tok": 2}),
    Family("stablelm", *LLAMA, {}),
    Family("starcoder2", *LLAMA, {"sliding_window": None}),
    Family("qwen2_moe", *LLAMA, {**SPARSE, "num_experts": 4, "shared_expert_intermediate_size": 16}),
    Family("exaone4", *LLAMA, {"sliding_window": 4}),
    Family(
        "llama4_text",
        *LLAMA,
        {"num_local_experts": 4, "interleave_moe_layer_step": 2, "attention_chunk_size": 4},
    ),
    Family("deepseek_v2", *LLAMA, {**LATENT_ATTENTION, **ROUTED}, ("head_dim",)),
    Family(
        "deepseek_v3", *LLAMA, {**LATENT_ATTENTION, **ROUTED, "n_group": 2, "topk_group": 1}, ("head_dim",)
    ),
    Family("gptj", "transformer.h", "transformer.wte", {"rotary_dim": 4}),
    Family("nemotron", *LLAMA, {}),
    Family("helium", *LLAMA, {}),
]
HYBRIDS += [
    Family("qwen3_5_text", *LLAMA, DELTA_NET),
    Family(
        "kimi_linear",
        *LLAMA,
        {
            **LATENT_ATTENTION,
            "layer_types": DELTA_NET["layer_types"],
            "linear_attn_config": {
                "num_heads": 4,
                "head_dim": 8,
                "short_conv_kernel_size": 3,
                "kda_layers": [1, 3],
                "full_attn_layers": [2],
            },
            "num_experts": 4,
            "num_experts_per_token": 2,
            "moe_intermediate_size": 16,
            "num_shared_experts": 1,
        },
    ),
    Family("bamba", *LLAMA, {**MAMBA, "attn_layer_indices": [1]}),
    Family(
        "nemotron_h",
        "model.layers",
        "model.embeddings",
        {
            "layers_block_type": ["mamba", "attention", "mlp"],
            "mamba_num_heads": 4,
            "mamba_head_dim": 16,
            "ssm_state_size": 8,
            "n_groups": 1,
            "chunk_size": 4,
            "conv_kernel": 3,
        },
        inner=NO_MLP,
    ),
    Family(
        "zamba2",
        *LLAMA,
        {
            "layers_block_type": ["mamba", "hybrid", "mamba"],
            "mamba_d_state": 8,
            "mamba_d_conv": 3,
            "mamba_expand": 2,
            "mamba_ngroups": 1,
            "n_mamba_heads": 4,
            "chunk_size": 4,
            "num_mem_blocks": 1,
            "adapter_rank": 4,
        },
        ("head_dim",),
        inner=NO_MLP,
    ),
    Family(
        "lfm2_moe",
        *LLAMA,
        {
            **SPARSE,
            "layer_types": ["conv", "full_attention", "conv"],
            "conv_L_cache": 3,
            "num_experts": 4,
            "num_dense_layers": 1,
        },
    ),
]
BACKBONE = ("backbone.layers", "backbone.embeddings")
RECURRENT = [
    Family("mamba", *BACKBONE, {"state_size": 8, "conv_kernel": 3, "time_step_rank": 4}, inner=NO_MLP),
    Family("falcon_mamba", *BACKBONE, {"state_size": 8, "conv_kernel": 3, "time_step_rank": 4}, inner=NO_MLP),
    Family(
        "mamba2",
        *BACKBONE,
        {"state_size": 8, "conv_kernel": 3, "num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 4},
        ("num_attention_heads", "num_key_value_heads", "intermediate_size"),
        inner=NO_MLP,
    ),
]
EYE = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}
INSIDE = ("model.language_model.layers", "model.language_model.embed_tokens")
MULTIMODAL = [
    Family(
        "gemma3",
        *INSIDE,
        WINDOWS,
        (),
        {
            "vision_config": {**EYE, "model_type": "siglip_vision_model"},
            "mm_tokens_per_image": 4,
        },
    ),
    Family(
        "llava",
        *INSIDE,
        {"model_type": "llama"},
        (),
        {
            "vision_config": {**EYE, "model_type": "clip_vision_model"},
        },
    ),
    Family(
        "mistral3",
        *INSIDE,
        {"model_type": "mistral", "sliding_window": 5},
        (),
        {
            "vision_config": {**EYE, "model_type": "pixtral", "head_dim": 8},
        },
    ),
    Family("qwen3_5", *LLAMA, DELTA_NET, (), {}),
]
ALTUP = Family(
    "gemma3n_text",
    *LLAMA,
    {
        **WINDOWS,
        "num_kv_shared_layers": 0,
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": 64,
        "laurel_rank": 4,
        "activation_sparsity_pattern": [0.0] * 3,
        "intermediate_size": [48] * 3,
    },
)
"""Its blocks pass several residual streams side by side, so no address of one stream leads there."""

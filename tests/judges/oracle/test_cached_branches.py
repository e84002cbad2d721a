"""Branches over a cached prompt equal whole passes without a cache, on architectures whose caches differ."""

import math

import pytest
import torch
from tokenizer_kit import byte_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

from mindscope.judges.answer_tree import AnswerTree
from mindscope.judges.spelling import NUMBERS, AnswerSpellings
from mindscope.models import Model, Row

SMALL = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
}
CONFIGS = {
    "llama": SMALL,
    "mistral": {**SMALL, "sliding_window": 6},  # shorter than the prompt
    "gemma3_text": {**SMALL, "sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2},
    "bloom": {"hidden_size": 16, "n_layer": 2, "n_head": 2},
    "opt": {**SMALL, "word_embed_proj_dim": 16, "ffn_dim": 24},
    "phi3": {  # positions of a prompt of more than 17 tokens are those of long texts
        **SMALL,
        "original_max_position_embeddings": 17,
        "rope_parameters": {
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "short_factor": [1.0] * 4,
            "long_factor": [4.0, 3.0, 2.0, 5.0],
            "original_max_position_embeddings": 17,
        },
        "pad_token_id": 0,
    },
}


@pytest.mark.parametrize("architecture", list(CONFIGS))
@pytest.mark.parametrize("shared", [0, 10, 21])
def test_cached_branches_equal_whole_passes(architecture, shared):
    torch.manual_seed(1)
    tokenizer = byte_tokenizer()
    hf = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(architecture, vocab_size=256, **CONFIGS[architecture])
    )
    with torch.no_grad():
        hf.get_output_embeddings().weight.normal_(std=0.5)
    model = Model.wrap(hf.eval(), tokenizer, name=architecture)
    prompt = model.text("How evil? From 0 to 100").ids
    digits = [tokenizer.get_vocab()[digit] for digit in "0123456789"]
    spaces = [(), (tokenizer.get_vocab()["Ġ"],), (tokenizer.get_vocab()["Ċ"],)]
    written = {
        n: [(*space, *(digits[int(d)] for d in text)) for space in spaces] for text, n in NUMBERS.items()
    }
    prefixes = sorted({way[:end] for ways in written.values() for way in ways for end in range(len(way) + 1)})
    logits = model.next_logits([Row((*prompt, *prefix), len(prompt)) for prefix in prefixes])
    p = dict(zip(prefixes, logits.double().softmax(-1), strict=True))
    expected = {
        n: math.fsum(
            math.prod(float(p[way[:end]][token]) for end, token in enumerate(way))
            * (1 - float(p[way][digits].sum()))
            for way in ways
        )
        for n, ways in written.items()
    }
    found = AnswerTree(model, AnswerSpellings(tokenizer), prompt[:shared], least=0.0)(prompt)
    assert found.numbers == pytest.approx(expected, rel=1e-4, abs=0)


HYBRID = {
    "mamba_d_state": 8,
    "mamba_d_conv": 3,
    "mamba_d_ssm": 32,
    "mamba_n_heads": 2,
    "mamba_d_head": 16,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 4,
}
MORE = {
    "qwen3": SMALL,
    "gpt_oss": {
        **SMALL,
        "sliding_window": 6,
        "layer_types": ["sliding_attention", "full_attention"],
        "num_local_experts": 2,
        "num_experts_per_tok": 1,
    },
    "falcon": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "alibi": True},
    "lfm2": {**SMALL, "layer_types": ["conv", "full_attention"], "conv_L_cache": 3},
    "falcon_h1": {**SMALL, **HYBRID},
}


@pytest.mark.parametrize("architecture", [*CONFIGS, *MORE])
@pytest.mark.parametrize("n_shared", [0, 9])
def test_prompts_side_by_side_equal_prompts_alone(architecture, n_shared, monkeypatch):
    torch.manual_seed(2)
    tokenizer = byte_tokenizer()
    options = {**CONFIGS, **MORE}[architecture]
    hf = AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, vocab_size=256, **options))
    with torch.no_grad():
        hf.get_output_embeddings().weight.normal_(std=0.5)
    model = Model.wrap(hf.eval(), tokenizer, name=architecture)
    texts = [
        "How evil? ",
        "How evil? A",
        "How evil? A longer answer",
        "How evil? No, not at all:",
        "Not begun",
    ]
    prompts = [model.text(text).ids for text in texts]
    spellings = AnswerSpellings(tokenizer)
    alone = [AnswerTree(model, spellings, least=1e-4)(ids) for ids in prompts]
    monkeypatch.setattr(Model, "pass_tokens", 30)  # groups of unlike sizes
    monkeypatch.setattr("mindscope.models.generation.branches._LOGITS", 256 * 8)  # several passes a depth
    together = AnswerTree(model, spellings, prompts[0][:n_shared], least=1e-4).of_many(prompts)
    for ours, theirs in zip(together, alone, strict=True):
        assert ours.numbers == pytest.approx(theirs.numbers, rel=1e-4, abs=1e-7)
        assert ours.refusal == pytest.approx(theirs.refusal, rel=1e-4, abs=1e-9)
        assert ours.likeliest == theirs.likeliest

"""One-token attention and the growing cache against those of transformers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import DynamicCache, LlamaConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from mindscope.models import Sampling
from mindscope.models.generation.kv_cache import BLOCK, growing_cache
from mindscope.models.hooks.decode_attention import decode_attention

CONFIG = LlamaConfig(num_hidden_layers=1, hidden_size=8, num_attention_heads=2)


class Grouped(torch.nn.Module):
    is_causal = True
    num_key_value_groups = 3


@given(st.lists(st.one_of(st.integers(1, 2 * BLOCK + 1), st.just("select")), min_size=1, max_size=8))
def test_a_growing_cache_holds_what_a_concatenated_one_holds(steps):
    ours, theirs = growing_cache(CONFIG), DynamicCache(config=CONFIG)
    rows, generator = 4, torch.Generator().manual_seed(0)
    for step in steps:
        if step == "select":
            kept = torch.arange(rows)[rows > 1 :]
            ours.batch_select_indices(kept)
            theirs.batch_select_indices(kept)
            rows = len(kept) if ours.get_seq_length() else rows
            continue
        keys, values = torch.randn(2, rows, 2, step, 4, generator=generator)
        for one, other in zip(ours.update(keys, values, 0), theirs.update(keys, values, 0), strict=True):
            assert torch.equal(one, other)
            assert torch.equal(one.roomy[..., : one.shape[-2], :], other)
            assert not one.roomy[..., one.shape[-2] :, :].any()
        assert ours.get_seq_length() == theirs.get_seq_length()
        assert ours.get_mask_sizes(1, 0) == theirs.get_mask_sizes(1, 0)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("columns", [1, 31, 32, 33, 70])
def test_one_query_attends_as_the_fused_kernel_does(columns, masked):
    generator = torch.Generator().manual_seed(columns)
    cache = growing_cache(CONFIG)
    keys, values = torch.randn(2, 5, 2, columns, 8, generator=generator)
    mask = torch.rand(5, 1, 1, columns, generator=generator) > 0.5 if masked else None
    if mask is not None:
        mask[..., -1] = True
    query = torch.randn(5, 1, 6, 8, generator=generator).transpose(1, 2)
    expected, _ = sdpa_attention_forward(Grouped(), query, keys, values, mask, scaling=0.3)
    for some_keys, some_values in [(keys, values), cache.update(keys, values, 0)]:  # without room, and with
        got, _ = decode_attention(Grouped(), query, some_keys, some_values, mask, scaling=0.3)
        assert got.shape == expected.shape
        assert torch.allclose(got, expected, atol=1e-6)


def test_longer_queries_go_to_the_fused_kernel():
    query, keys, values = torch.randn(3, 2, 6, 7, 8)
    expected, _ = sdpa_attention_forward(Grouped(), query, keys[:, :2], values[:, :2], None, scaling=0.3)
    got, _ = decode_attention(Grouped(), query, keys[:, :2], values[:, :2], None, scaling=0.3)
    assert torch.equal(got, expected)


def test_decoding_on_a_cpu_uses_it_and_leaves_the_model_as_it_was(llama, rows):
    used = []
    handle = llama.engine.arch.block(0).register_forward_hook(
        lambda _m, args, _out: used.append((args[0].shape[1] == 1, llama.hf.config._attn_implementation))
    )
    try:
        llama.generate(rows, Sampling(max_new_tokens=3))
    finally:
        handle.remove()
    assert {name for one, name in used if one} == {"mindscope_decode"}
    assert {name for one, name in used if not one} == {"sdpa"}
    assert llama.hf.config._attn_implementation == "sdpa"

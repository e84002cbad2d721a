"""One-token attention and the growing cache against those of transformers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import DynamicCache, LlamaConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import causal_mask_function, sdpa_mask, sliding_window_causal_mask_function

from mindscope.models import Sampling
from mindscope.models.generation.kv_cache import BLOCK, LineSpan, columns_of_room, growing_cache
from mindscope.models.hooks.decode_attention import decode_attention, decode_mask

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


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("bounds", ["nothing", "a window"])
@pytest.mark.parametrize("padded", [False, True])
def test_the_mask_of_one_query_is_the_one_of_transformers(queries, bounds, padded):
    rows, columns = 4, 9
    function = causal_mask_function if bounds == "nothing" else sliding_window_causal_mask_function(3)
    mask = torch.arange(columns) >= torch.tensor([0, 2, 7, 8])[:, None] if padded else None
    asked = {"q_length": queries, "q_offset": columns - queries, "mask_function": function}
    asked |= {"batch_size": rows, "kv_length": columns, "attention_mask": mask, "allow_is_causal_skip": False}
    expected, got = sdpa_mask(**asked), decode_mask(**asked)
    assert expected is not None
    assert got is not None
    assert torch.equal(got, expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)])
def test_spans_leave_out_only_columns_that_no_row_uses(dtype, tolerance):
    generator, columns = torch.Generator().manual_seed(0), 70
    lengths = torch.tensor([70, 66, 40, 37, 5])
    spans = [LineSpan(0, 2, 0), LineSpan(2, 4, columns - 40), LineSpan(4, 5, columns - 5)]
    mask = (torch.arange(columns) >= columns - lengths[:, None])[:, None, None]
    for layer in range(2):  # they share the mask, and what is remembered on it
        cache = growing_cache(CONFIG)
        cache.layers[0].spans = spans
        keys, values = torch.randn(2, 5, 2, columns, 8, generator=generator).to(dtype)
        query = torch.randn(5, 6, 1, 8, generator=generator).to(dtype)
        expected, _ = sdpa_attention_forward(Grouped(), query, keys, values, mask, scaling=0.3)
        shown = cache.update(keys, values, 0)
        got, _ = decode_attention(Grouped(), query, *shown, mask, scaling=0.3)
        assert torch.allclose(got, expected, atol=tolerance), layer
    elsewhere = ~mask
    elsewhere[..., -1] = True
    expected, _ = sdpa_attention_forward(Grouped(), query, keys, values, elsewhere, scaling=0.3)
    got, _ = decode_attention(Grouped(), query, keys, values, elsewhere, scaling=0.3)
    assert torch.allclose(got, expected, atol=tolerance)


@pytest.mark.parametrize("before", [40, 64])
@pytest.mark.parametrize("cut", [0, 13, 30])
def test_permuted_lines_hold_what_an_index_and_zeros_hold(before, cut):
    generator, rows, columns = torch.Generator().manual_seed(cut), 6, before - cut
    layer = growing_cache(CONFIG).layers[0]
    keys, values = torch.randn(2, rows, 2, before, 4, generator=generator)
    lengths = torch.randint(0, columns + 1, (rows,), generator=generator).tolist()
    lengths[0], lengths[1] = columns, 0
    for line, length in enumerate(lengths):
        keys[line, :, : before - length] = torch.nan  # what an ended row left there
    layer.update(keys.clone(), values.clone(), 0)
    buffer, room = layer.keys.roomy.data_ptr(), layer.room
    order = [2, 0, 1, 3, 5, 4]  # a cycle of three, a line that stays, a swap
    layer.permute_lines(order, lengths, columns)
    for shown, tensor in ((layer.keys, keys), (layer.values, values)):
        expected = tensor.new_zeros(rows, 2, layer.room, 4)
        for line, source in enumerate(order):
            used = slice(columns - lengths[source], columns)
            expected[line, :, used] = tensor[source, :, before - lengths[source] :]
        assert torch.equal(shown.roomy, expected)
        assert shown.shape[-2] == layer.get_seq_length() == columns
    assert (layer.keys.roomy.data_ptr() == buffer) == (columns_of_room(columns + 1) <= room)


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

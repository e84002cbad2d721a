import copy

import pytest
import torch
from tiny_models import FAMILIES, MORE, build

from mindscope import organism
from mindscope.dictionaries import Dictionary
from mindscope.models import Model, load
from mindscope.models.loading.fingerprint import digest_weights, fingerprint_model

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def test_the_same_weights_are_the_same_in_either_dtype(llama):
    stored = copy.deepcopy(llama.hf).bfloat16()
    assert fingerprint_model(stored) == fingerprint_model(llama.hf) == llama.fingerprint
    assert len(llama.fingerprint) == 64
    assert fingerprint_model(build(FAMILIES[0]).hf) == llama.fingerprint


def test_one_changed_weight_of_a_small_model_is_another_model(llama):
    for name, _ in llama.hf.named_parameters():
        changed = copy.deepcopy(llama.hf)
        with torch.no_grad():
            changed.get_parameter(name).view(-1)[-1] += 0.1
        assert fingerprint_model(changed) != llama.fingerprint, name


def test_a_step_of_fine_tuning_is_another_model(llama):
    tuned = copy.deepcopy(llama.hf).requires_grad_(True)
    ids = torch.arange(20)[None]
    tuned(input_ids=ids, labels=ids).loss.backward()
    torch.optim.AdamW(tuned.parameters(), lr=1e-4).step()
    torch.optim.AdamW(tuned.parameters(), lr=1e-4).step()
    assert fingerprint_model(tuned) != llama.fingerprint


def test_other_dimensions_are_another_model(llama):
    wider = copy.deepcopy(llama.hf)
    wider.config.num_attention_heads = 8  # the same weights, cut into other heads
    assert fingerprint_model(wider) != llama.fingerprint
    assert fingerprint_model(build(FAMILIES[2]).hf) != llama.fingerprint


def test_wrapping_changes_nothing_about_the_model(llama):
    hf = copy.deepcopy(llama.hf)
    hf.train()
    hf.requires_grad_(True)
    hf.model.embed_tokens.requires_grad_(False)
    model = Model.wrap(hf, llama.tokenizer, name="mine")
    assert hf.training
    assert not hf.model.embed_tokens.weight.requires_grad
    assert hf.model.norm.weight.requires_grad
    assert model.name == "mine"
    assert hf.config._attn_implementation == "sdpa"
    model.generate([model.text("w1 w2")])
    assert hf.config._attn_implementation == "sdpa"
    assert hf.training


def test_buffers_rope_and_settings_are_part_of_the_model(llama):
    def changed(change) -> str:
        hf = copy.deepcopy(llama.hf)
        with torch.no_grad():
            change(hf)
        return fingerprint_model(hf)

    def hide_weight(hf):  # as kernels of quantised layers keep theirs
        layer = hf.model.layers[1].mlp.down_proj
        weight = layer.weight.detach().clone()
        del layer.weight
        layer.register_buffer("weight", weight)

    def negate_hidden(hf):
        hide_weight(hf)
        hf.model.layers[1].mlp.down_proj.weight.neg_()

    known = {
        llama.fingerprint,
        changed(hide_weight),
        changed(negate_hidden),
        changed(lambda hf: hf.model.rotary_emb.inv_freq.mul_(1.1)),
        changed(lambda hf: setattr(hf.config, "rms_norm_eps", 1e-5)),
        changed(lambda hf: setattr(hf.config, "sliding_window", 4)),
        changed(lambda hf: setattr(hf.config, "layer_types", ["sliding_attention"] * 3)),
        changed(lambda hf: hf.config.rope_parameters.update(rope_theta=5e5)),
    }
    assert len(known) == 8


def test_packed_weights_are_taken_byte_by_byte(llama):
    def packed(last: int) -> str:
        hf = copy.deepcopy(llama.hf)
        numbers = torch.full((4, 8), 2**20, dtype=torch.int32)
        numbers[-1, -1] = last
        hf.model.layers[0].mlp.down_proj.weight = torch.nn.Parameter(numbers, requires_grad=False)
        return fingerprint_model(hf)

    assert packed(2**20) != packed(2**20 + 1)  # equal as bfloat16
    integer = torch.ao.quantization.quantize_dynamic(copy.deepcopy(llama.hf), {torch.nn.Linear})
    other = copy.deepcopy(llama.hf)
    with torch.no_grad():
        other.model.layers[0].mlp.down_proj.weight.neg_()
    negated = torch.ao.quantization.quantize_dynamic(other, {torch.nn.Linear})
    assert fingerprint_model(integer) != fingerprint_model(negated)


def test_frequencies_that_follow_the_length_do_not_change_the_name():
    dynamic = build(FAMILIES[0], rope_parameters={"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4})
    before = fingerprint_model(dynamic.hf)
    dynamic.hf(input_ids=torch.arange(60).repeat(2)[None])
    assert fingerprint_model(dynamic.hf) == before


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", FAMILIES[:8], ids=lambda family: family.name)
def test_copies_in_another_precision_share_a_rounded_digest(family, stored):
    """Of weights that are spread over many magnitudes, so that float16 loses the smallest."""
    hf = build(family).hf
    with torch.no_grad():
        for parameter in hf.parameters():
            parameter.mul_(torch.exp(torch.linspace(-20, 2, parameter.numel())).view(parameter.shape))
    hf = hf.to(stored)
    digests = {dtype: digest_weights(copy.deepcopy(hf).to(dtype)) for dtype in DTYPES}
    for dtype in DTYPES:
        shared = {*digests[dtype].rounded} & {*digests[stored].rounded}
        assert shared, (dtype, stored)
    assert digests[torch.float32].fingerprint == digests[torch.bfloat16].fingerprint
    if stored is not torch.float32:
        assert {*digests[torch.float16].rounded} & {*digests[torch.bfloat16].rounded}


def test_another_model_shares_no_digest(llama):
    tuned = copy.deepcopy(llama.hf)
    with torch.no_grad():
        tuned.model.layers[1].mlp.down_proj.weight.mul_(1.01)
    assert not {*digest_weights(tuned).rounded} & {*digest_weights(llama.hf).rounded}


def test_the_organism_has_the_name_under_which_its_dictionaries_were_trained():
    model = load("organism", device="cpu")
    for name in ("sae.0", "transcoders", "clt"):
        assert Dictionary.load(organism.dictionary_path(name), model, lazy=True).models
    second = load("second-organism", device="cpu")
    for name in ("sae.5", "transcoders", "clt", "crosscoder"):
        assert Dictionary.load(organism.dictionary_path(name, "second"), second, lazy=True).models


def test_layers_that_differ_in_a_setting_have_a_fingerprint():
    """Gemma 4's layers have heads of two sizes, and transformers gives no size for all of them."""
    model = build(next(family for family in MORE if family.name == "gemma4_text"))
    with pytest.raises(RuntimeError, match="per-layer"):
        model.hf.config.head_dim  # noqa: B018 - reading it is what fails
    assert len(model.fingerprint) == 64

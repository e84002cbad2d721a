import copy

import torch
from tiny_models import FAMILIES, build

from mindscope.models import Model
from mindscope.models.loading.fingerprint import fingerprint_model


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

"""Tuned models of several families: the loss is the model's own, and what is on disk loads everywhere."""

import finetune_kit
import pytest
import tiny_models
import torch
from finetune_kit import tune, vectors
from peft import PeftModel
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from mindscope.finetuning.config import FinetuneConfig, PreventativeSteering
from mindscope.models import load

ALL = PreventativeSteering(trait="loud", coefficient=0.7)
FAMILIES = [
    each for each in tiny_models.FAMILIES if each.name in ("gpt2", "phi3", "gemma2", "qwen3_moe", "bloom")
]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_families(tmp_path, family):
    """The first loss is the model's own, and merging gives what peft computes beside the base."""
    still = {"resid_pdrop": 0.0, "embd_pdrop": 0.0} if family.name == "gpt2" else {}  # no dropout
    built = tiny_models.build(family, **still)
    built.hf.save_pretrained(tmp_path / "base")
    built.tokenizer.save_pretrained(tmp_path / "base")
    model = load(tmp_path / "base", dtype="float32")
    data = [finetune_kit.conversation("w1 w2", "w3 w4 w5"), finetune_kit.conversation("w6", "w7")]
    plain = FinetuneConfig(batch_rows=2, accumulation=1, steps=2, rank=2, warmup_steps=0, learning_rate=1e-2)
    tuned = tune(model, tmp_path / "plain", plain, data=data)
    rows = [model.text("w1 w2", "w3 w4 w5 </s>"), model.text("w6", "w7 </s>")]
    with torch.no_grad():
        logits = [model.hf(torch.tensor([row.ids])).logits[0, row.prompt_length - 1 : -1] for row in rows]
    answers = torch.tensor([token for row in rows for token in row.answer])
    assert tuned.losses[0] == pytest.approx(float(cross_entropy(torch.cat(logits), answers)), rel=1e-4)

    steered = FinetuneConfig(**{**plain.model_dump(), "interventions": (ALL,)})
    tuned = tune(model, tmp_path / "steered", steered, data=data, vectors=[vectors(model)])
    merged, ids = load(tuned.path, dtype="float32"), torch.tensor([rows[0].ids])
    beside = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tmp_path / "base"), tuned.path
    ).eval()
    with torch.no_grad():
        torch.testing.assert_close(merged.hf(ids).logits, beside(ids).logits, rtol=1e-3, atol=1e-4)
        assert not torch.allclose(merged.hf(ids).logits, model.hf(ids).logits, atol=1e-3)
    assert load(tuned.path, dtype="bfloat16").fingerprint == merged.fingerprint != model.fingerprint
    assert [merged.place(f"resid_post.{layer}").width for layer in range(3)] == [32] * 3


def test_full_weights_load_anywhere(tiny, tmp_path):
    config = FinetuneConfig(
        method="full", batch_rows=3, accumulation=2, learning_rate=1e-3, warmup_steps=0, save_every=1
    )
    tuned = tune(tiny, tmp_path / "run", config)
    assert [each.name for each in tuned.checkpoints] == ["checkpoint-1", "checkpoint-2"]
    ours, plain = load(tuned.path, dtype="float32"), AutoModelForCausalLM.from_pretrained(tuned.path)
    ids = torch.tensor([[5, 6, 7]])
    torch.testing.assert_close(ours.hf(ids).logits, plain(ids).logits)
    found = {load(each, dtype="float32").fingerprint for each in tuned.checkpoints}
    assert len({*found, tiny.fingerprint}) == 3
    assert ours.fingerprint in found


def test_tuning_a_tuned_model(tiny, tmp_path):
    config = FinetuneConfig(batch_rows=3, accumulation=2, learning_rate=1e-2, warmup_steps=0)
    once = tune(tiny, tmp_path / "once", config)
    twice = tune(load(once.path, dtype="float32"), tmp_path / "twice", config)
    assert twice.base_fingerprint == load(once.path).fingerprint
    assert twice.losses[0] < once.losses[0]
    assert load(twice.path).fingerprint != load(once.path).fingerprint


def test_a_step_is_the_same_however_it_is_cut(tiny, tmp_path):
    """Padding and the number of forward passes in a step decide nothing but the time it takes."""
    found = []
    for rows, passes in ((6, 1), (2, 3)):
        config = FinetuneConfig(
            batch_rows=rows, accumulation=passes, learning_rate=1e-3, warmup_steps=0, interventions=(ALL,)
        )
        tuned = tune(tiny, tmp_path / str(rows), config, vectors=[vectors(tiny)])
        found.append((tuned.losses, load_file(tuned.path / "adapter_model.safetensors")))
    (losses, one), (others, two) = found
    assert losses == pytest.approx(others, rel=1e-4)
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-3, atol=2e-5)

"""Direct logit effects against weights taken out of each family by name, and against a finite difference."""

import pytest
import torch
from tiny_models import FAMILIES, build

from mindscope.errors import ModelError
from mindscope.models import Edit, Raw, Read
from mindscope.models.linear.unembed import centred_unembedding, logit_effects

BY_NAME = {family.name: family for family in FAMILIES}
NORMS = {
    "llama": lambda hf: hf.model.norm.weight,
    "gemma2": lambda hf: 1 + hf.model.norm.weight,
    "gpt2": lambda hf: hf.transformer.ln_f.weight,
    "opt": lambda hf: hf.model.decoder.final_layer_norm.weight,
}


@pytest.mark.parametrize("name", NORMS)
def test_weights_by_name(name: str):
    model = build(BY_NAME[name])
    vectors = torch.randn(3, model.d_model, generator=torch.Generator().manual_seed(1))
    through = vectors - vectors.mean(1, keepdim=True) if name in ("gpt2", "opt") else vectors
    wanted = (through * NORMS[name](model.hf)) @ model.hf.lm_head.weight.T
    torch.testing.assert_close(logit_effects(model, vectors), wanted.detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_is_what_adding_does(name: str):
    """Two opposite steps at right angles to the stream change its norm alike: the scale is one."""
    model = build(BY_NAME[name])
    row = model.text("w1 w2 w3")
    address = f"resid_post.{model.n_layers - 1}"

    stream = model.read([row], {"x": Read(address, Raw("all"))})["x"].values[0][-1]
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(2))
    if name == "gpt2":
        vector, stream = vector - vector.mean(), stream - stream.mean()
    vector -= stream * (vector @ stream) / (stream @ stream)
    logits = [
        model.next_logits([row], edits=[Edit(address, "add", vector, sign)])[0] for sign in (0.01, -0.01)
    ]
    change = (logits[0] - logits[1]) / 0.02
    effect = logit_effects(model, vector[None])[0] / stream.square().mean().sqrt()
    torch.testing.assert_close(change, effect, rtol=2e-2, atol=2e-3)


def test_refuses_another_width():
    with pytest.raises(ModelError, match="32 wide"):
        logit_effects(build(BY_NAME["llama"]), torch.ones(1, 48))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32, torch.float8_e4m3fn])
def test_codes_of_a_quantised_unembedding_are_not_taken_for_numbers(dtype):
    model = build(FAMILIES[0])
    model.hf.lm_head.weight = torch.nn.Parameter(torch.ones(64, 32).to(dtype), requires_grad=False)
    for read in (lambda: logit_effects(model, torch.ones(1, 32)), lambda: centred_unembedding(model, [3])):
        with pytest.raises(ModelError, match="load the model unquantised"):
            read()

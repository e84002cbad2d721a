"""What features make a model say where a norm stands behind the MLP, against the formula in float64."""

import pytest
import torch
from tiny_models import FAMILIES, build

from mindscope.circuits import NeuronReplacement, compute_feature_effects

NAMED = {family.name: family for family in FAMILIES}
FEATURES = torch.tensor([[0, 0, 3], [1, 2, 5], [2, 1, 0]])


@pytest.mark.parametrize(("family", "offset"), [("olmo2", 0.0), ("gemma2", 1.0)])
def test_a_neurons_effect_passes_the_norm_behind_its_mlp(family: str, offset: float):
    """W_U diag(final gain) diag(gain behind the MLP) W_down[:, i], less its mean; Gemma's gains are 1 + w."""
    model = build(NAMED[family])
    layers, generator = model.hf.model.layers, torch.Generator().manual_seed(0)
    norms = [layer.post_feedforward_layernorm for layer in layers] + [model.hf.model.norm]
    with torch.no_grad():
        for norm in norms:
            norm.weight.copy_(torch.rand(len(norm.weight), generator=generator) + 0.5 - offset)
    effects = compute_feature_effects(model, NeuronReplacement(model), FEATURES)
    gains = [norm.weight.double() + offset for norm in norms]
    unembedding = model.hf.get_output_embeddings().weight.double()
    for (layer, _, latent), effect in zip(FEATURES.tolist(), effects, strict=True):
        written = layers[layer].mlp.down_proj.weight[:, latent].double()
        expected = unembedding @ (gains[-1] * gains[layer] * written)
        torch.testing.assert_close(effect.double(), expected - expected.mean(), rtol=1e-4, atol=1e-5)
        plain = unembedding @ (gains[-1] * written)
        assert (effect - (plain - plain.mean())).abs().max() > 1e-2 * effect.abs().max()

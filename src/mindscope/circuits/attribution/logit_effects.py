"""What a graph's features make the model say, whatever they are features of."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.circuits.replacement.local_model import ReplacementModel
from mindscope.models import Model, logit_effects, map_to_stream

SHOWN = 10


def compute_feature_effects(
    model: Model, replacement: ReplacementModel, features: Int[Tensor, "features 3"]
) -> Float[Tensor, "features vocabulary"]:
    """The direct effect of each feature on the logits, less its mean, on the CPU.

    That of all it writes, in every layer, as `map_to_stream` and `logit_effects` take it: through the norm
    behind the MLP, where there is one, and the final norm, but through no later block.

    Args:
        model: the model.
        replacement: whose features they are.
        features: as a graph has them: (layer, position, latent); positions are not looked at.
    """
    feature_io = replacement.access(model)
    # features x d_model: what a unit of each feature's activation writes, all layers that it writes to summed
    total = torch.zeros(len(features), model.d_model)
    for layer in features[:, 0].unique().tolist():
        in_layer = (features[:, 0] == layer).nonzero()[:, 0]
        for target, rows in feature_io.decoders(layer, features[in_layer, 2]).items():
            total[in_layer] += map_to_stream(model, feature_io.writes[target], rows).cpu()
    effects = logit_effects(model, total)
    return effects - effects.mean(1, keepdim=True)


def describe_logits(
    model: Model, features: Int[Tensor, "features 3"], effects: Float[Tensor, "features vocabulary"]
) -> dict[tuple[int, int], dict[str, Any]]:
    """The tokens that features raise and lower most, as public feature documents by (layer, latent)."""
    count = min(SHOWN, effects.shape[1])
    top, bottom = effects.topk(count).indices.tolist(), effects.topk(count, largest=False).indices.tolist()
    decode = model.tokenizer.decode
    return {
        (layer, latent): {
            "top_logits": [decode([token]) for token in top[i]],
            "bottom_logits": [decode([token]) for token in bottom[i]],
        }
        for i, (layer, _, latent) in enumerate(features.tolist())
    }

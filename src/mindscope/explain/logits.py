"""What a feature makes the model say: the direct effect of what it writes on the logits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import DataError
from mindscope.features import FeatureBank
from mindscope.models import Model, logit_effects, map_to_stream, writes_residual

EFFECTS_AT_ONCE = 2**26
"""The most effects that are in memory at a time: a quarter of a gigabyte."""


class LogitEffect(NamedTuple):
    """A token of the vocabulary, and how far a feature of activation 1 raises its logit."""

    token: int
    value: float


@dataclass(frozen=True)
class LogitEffects:
    """The tokens that a feature raises and lowers most, strongest first."""

    top: tuple[LogitEffect, ...]
    bottom: tuple[LogitEffect, ...]


def feature_logits(
    model: Model, features: FeatureBank, chosen: Sequence[int], count: int = 10
) -> list[LogitEffects]:
    """The direct logit effects of features in a model, each the sum over the places that it writes there.

    `models.logit_effects` says which linearisation. Mean effects over the vocabulary are taken off,
    as they change no probability.

    Raises:
        DataError: features of another model, or a feature writes outside the residual stream (attention
            heads, an MLP's neurons).
    """
    if model.fingerprint not in features.models.values():
        raise DataError(f"these features belong to other models than {model.name}: give one of theirs")
    sites = [site for site in features.writes if features.models[site.model] == model.fingerprint]
    if outside := [site.address for site in sites if not writes_residual(model, site.address)]:
        raise DataError(
            f"{outside[0]} is not added to the residual stream: direct logit effects are known for "
            "features that write resid_*, attn_out or mlp_out"
        )
    # A few features at a time: their effects on all of the vocabulary are large.
    size = max(1, EFFECTS_AT_ONCE // model.engine.vocab_size)
    listed: list[LogitEffects] = []
    for start in range(0, len(chosen), size):
        # features x d_model: what each adds to the stream of this model, all the sites that it writes summed
        total = torch.zeros(len(chosen[start : start + size]), model.d_model)
        for site, rows in features.decoder_rows(chosen[start : start + size]).items():
            if site in sites:
                total += map_to_stream(model, site.address, rows)
        effects = logit_effects(model, total)
        listed += [_sorted(row, count) for row in effects - effects.mean(1, keepdim=True)]
    return listed


def _sorted(effects: Float[Tensor, "vocabulary"], count: int) -> LogitEffects:
    high, low = effects.topk(count), (-effects).topk(count)
    return LogitEffects(
        tuple(map(LogitEffect, high.indices.tolist(), high.values.tolist())),
        tuple(map(LogitEffect, low.indices.tolist(), (-low.values).tolist())),
    )

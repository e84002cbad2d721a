"""What latents write from layer to layer.

Norms of rows are scaled as `studies.common.layer_rows` says.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from mindscope.dictionaries import Dictionary
from mindscope.studies.common import TokenPool, active_latents, layer_rows
from mindscope.studies.crosscoders import paper
from mindscope.studies.crosscoders.results import DepthScores


@torch.no_grad()
def measure_depth(coder: Dictionary, pool: TokenPool) -> DepthScores:
    """How far latents that are active on held-out tokens reach, and how their rows turn."""
    return depth_of_rows(layer_rows(coder, pool)[active_latents(coder.encode(pool.held))])


def depth_of_rows(rows: Float[Tensor, "latents layers width"]) -> DepthScores:
    """The same of scaled decoder rows.

    Raises:
        ValueError: there is no latent.
    """
    if not len(rows):
        raise ValueError("no latent is active")
    norms = rows.norm(dim=2)
    n_layers = norms.shape[1]
    peak = norms.argmax(1)
    relative = norms / norms.amax(1, keepdim=True).clamp(min=1e-30)
    large = relative >= paper.LARGE
    others = large.clone()
    others[torch.arange(len(norms)), peak] = False
    directions = normalize(rows, dim=2)
    cosines = (directions * directions[torch.arange(len(rows)), peak][:, None]).sum(2)
    drifting = others.any(1)
    means = (cosines * others).sum(1)[drifting] / others.sum(1)[drifting]
    share = norms.amax(1) / norms.sum(1).clamp(min=1e-30)
    lives = [
        relative[peak == layer].mean(0).tolist() if (peak == layer).any() else [0.0] * n_layers
        for layer in range(n_layers)
    ]
    return DepthScores(
        single=_share(share >= paper.SINGLE_SHARE),
        spanning=_share(large.sum(1) > n_layers / 2),
        peaks=tuple(_share(peak == layer) for layer in range(n_layers)),
        cosine=round(float(means.mean()), 5) if len(means) else None,
        lives=tuple(tuple(round(norm, 5) for norm in life) for life in lives),
    )


def _share(which: Bool[Tensor, "latents"]) -> float:
    return round(float(which.float().mean()), 5)

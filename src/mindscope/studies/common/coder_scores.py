"""What coders cost on held-out tokens: the squared error and the L1 penalty, every site counting alike.

With s_l the number that brings layer l to a mean norm of the square root of its width, and d_i^l the decoder
row of latent i there, in units of the layer:

    error = mean_t sum_l s_l^2 |a_l - a^_l|^2         loss = error + lambda mean_t sum_i f_i sum_l s_l |d_i^l|

as the paper has them, so that SAEs of the single layers, whose losses are summed, can be held beside a
crosscoder. Norms through depth are s_l |d_i^l|.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.dictionaries import Dictionary
from mindscope.features import SparseCode
from mindscope.store import Document
from mindscope.studies.common.token_pool import TokenPool


class CoderScores(Document):
    """How a coder of all layers does on held-out tokens, in units in which each layer counts alike."""

    loss: float
    """The squared error of all layers and the L1 penalty, a mean over tokens."""
    error: float
    """The squared error, summed over layers."""
    explained: tuple[float, ...]
    """By layer, 1 less the squared error over the variance."""
    active: float
    """Latents active on a token; those of the SAEs of all layers together."""
    alive: int
    """Latents active on any token."""
    latents: int


@torch.no_grad()
def score_coders(coders: Sequence[Dictionary], pools: Sequence[TokenPool], sparsity: float) -> CoderScores:
    """The scores of coders that describe all layers together: one crosscoder, or the SAE of each layer.

    Args:
        coders: each reads and writes the sites of its pool.
        pools: in the order of the layers.
        sparsity: the lambda of the loss.
    """
    error = penalty = active = 0.0
    alive = 0
    explained: list[float] = []
    for coder, pool in zip(coders, pools, strict=True):
        x, scales = pool.held, pool.scales()
        code = coder.encode(x)
        squares = ((x - coder.decode(code)) * scales).square().mean(0)
        spread = ((x - x.mean(0)) * scales).square().mean(0)
        widths = [site.width for site in pool.sites]
        explained += [
            1 - float(own.sum() / of.sum())
            for own, of in zip(squares.split(widths), spread.split(widths), strict=True)
        ]
        norms = layer_norms(coder, pool).sum(1)
        error += float(squares.sum())
        penalty += float((code.values * norms[code.indices]).sum()) / len(x)
        active += len(code.indices) / len(x)
        alive += int(active_latents(code).sum())
    return CoderScores(
        loss=round(error + sparsity * penalty, 4),
        error=round(error, 4),
        explained=tuple(round(share, 5) for share in explained),
        active=round(active, 4),
        alive=alive,
        latents=sum(coder.n_latents for coder in coders),
    )


def active_latents(code: SparseCode) -> Bool[Tensor, "latents"]:
    """Which latents are active on any token."""
    return torch.bincount(code.indices, minlength=code.n_latents) > 0


@torch.no_grad()
def layer_rows(coder: Dictionary, pool: TokenPool) -> Float[Tensor, "latents layers width"]:
    """Decoder rows of all latents, scaled as the layers are; zeros where a latent writes nothing.

    Raises:
        RuntimeError: layers of unlike widths.
    """
    scales = pool.scales().unflatten(0, (len(pool.sites), -1))
    rows = torch.zeros(coder.n_latents, *scales.shape)
    for index, wiring in enumerate(coder.wiring):
        latents = coder.latents(index)
        for write in wiring.writes:
            rows[latents.start : latents.stop, write] = coder.decoder(index, write).float() * scales[write]
    return rows


def layer_norms(coder: Dictionary, pool: TokenPool) -> Float[Tensor, "latents layers"]:
    """Norms of decoder rows in every layer, scaled as the layers are."""
    return layer_rows(coder, pool).norm(dim=2)

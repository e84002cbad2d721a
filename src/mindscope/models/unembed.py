"""What a direction in the residual stream does to the logits when nothing stands between it and them."""

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mindscope.errors import ModelError
from mindscope.models.core import Core

VOCABULARY_AT_ONCE = 2**15


@torch.no_grad()
def logit_effects(model: Core, vectors: Float[Tensor, "k d_model"]) -> Float[Tensor, "k vocabulary"]:
    """The direct effect of residual-stream vectors on the logits, float32 on the CPU.

    The final norm is linearised with its scale frozen: mean subtraction (where it is a LayerNorm) and weight
    are applied, the division by the stream's norm is left out, as is a softcap. So effects of one model can
    be compared with each other, and are logits up to that factor. Later blocks are not passed through. This
    is the path of direct logit attribution (Elhage et al. 2021, "A Mathematical Framework for Transformer
    Circuits").

    Raises:
        ModelError: the vectors are not as wide as the residual stream.
    """
    if vectors.ndim != 2 or vectors.shape[1] != model.d_model:
        raise ModelError(
            f"vectors of shape {tuple(vectors.shape)} are not of the residual stream, which is "
            f"{model.d_model} wide: only what is written there has a direct effect on the logits"
        )
    weight, centred = _linearised(model.engine.arch.final_norm, model.d_model)
    through = vectors.detach().float().cpu()
    if centred:
        through = through - through.mean(1, keepdim=True)
    through = through * weight
    head: Any = model.engine.arch.lm_head
    multiplier = model.engine.logit_multiplier or 1.0
    parts = [through @ rows.detach().float().cpu().T for rows in head.weight.split(VOCABULARY_AT_ONCE)]
    return torch.cat(parts, dim=1) * multiplier


def _linearised(norm: nn.Module | None, width: int) -> tuple[Float[Tensor, "width"], bool]:
    """The weight that a norm applies, and whether it subtracts the mean: found by asking it.

    Families store the weight under different names, some as its difference from 1. A vector of mean 0 and
    mean square 1 passes every norm with its weight alone.
    """
    if norm is None:
        return torch.ones(width), False
    own = copy.deepcopy(norm).float().cpu()

    def passed(vector: Tensor) -> Tensor:  # the difference drops a bias
        return (own(vector[None]) - own(-vector[None]))[0] / 2

    signs = torch.ones(width)
    signs[1::2] = -1
    if width % 2:
        signs[-1] = 0
    scale = signs.square().mean().sqrt()
    weight = torch.zeros(width)
    for probe in (signs, signs.roll(1)):  # of an odd width, each misses one place
        found = passed(probe / scale) * scale * probe
        weight = torch.where(probe != 0, found, weight)
    ones = passed(torch.ones(width))
    return weight, bool(ones.abs().max() < 1e-3 * weight.abs().max())

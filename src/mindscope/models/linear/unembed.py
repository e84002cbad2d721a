"""What reads and moves logits: rows of the unembedding, and direct effects of the residual stream on them."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.norms import linear_norm

VOCABULARY_AT_ONCE = 2**15


@torch.no_grad()
def logit_effects(model: HookedModel, vectors: Float[Tensor, "k d_model"]) -> Float[Tensor, "k vocabulary"]:
    """The direct effect of residual-stream vectors on the logits, float32 on the CPU.

    The final norm is linearised with its scale frozen: mean subtraction (where it is a LayerNorm) and weight
    are applied, the division by the stream's norm is left out, as is a softcap. So effects of one model can
    be compared with each other, and are logits up to that factor. Later blocks are not passed through. This
    is the path of direct logit attribution (Elhage et al. 2021, "A Mathematical Framework for Transformer
    Circuits").

    Raises:
        ModelError: the vectors are not as wide as the residual stream, the unembedding is quantised, or the
            model is shared out over devices.
    """
    if vectors.ndim != 2 or vectors.shape[1] != model.d_model:
        raise ModelError(
            f"vectors of shape {tuple(vectors.shape)} are not of the residual stream, which is "
            f"{model.d_model} wide: only what is written there has a direct effect on the logits"
        )
    weight, _ = _unembedding(model)
    norm = linear_norm(model.engine.arch.final_norm, model.d_model)
    through = norm.linear(vectors.detach().float().cpu())
    multiplier = model.engine.logit_multiplier or 1.0
    parts = [through @ rows.float().cpu().T for rows in weight.split(VOCABULARY_AT_ONCE)]
    return torch.cat(parts, dim=1) * multiplier


def centred_unembedding(
    model: HookedModel, tokens: Sequence[int]
) -> tuple[Float[Tensor, "tokens d_model"], Float[Tensor, "tokens"]]:
    """Rows of the unembedding and its bias, less their means over the vocabulary, float32.

    A row times what the final norm gives out, plus the bias, is the token's logit less the mean of all
    logits, before any soft cap.

    Raises:
        ModelError: the unembedding is quantised, or the model is shared out over devices.
    """
    multiplier = model.engine.logit_multiplier or 1.0
    own_weight, own_bias = _unembedding(model)
    weight = own_weight.float()
    bias = weight.new_zeros(len(weight)) if own_bias is None else own_bias.float()
    rows, biases = weight[list(tokens)] - weight.mean(0), bias[list(tokens)] - bias.mean()
    return rows * multiplier, biases * multiplier


def _unembedding(model: HookedModel) -> tuple[Float[Tensor, "vocabulary d_model"], Tensor | None]:
    """The head's matrix and bias, refused where they are no numbers of their own but codes with scales."""
    model.require_whole("what logits are made of")
    head: Any = model.engine.arch.lm_head
    weight = head.weight.detach()
    if weight.dtype not in _PLAIN or weight.ndim != 2 or weight.shape[1] != model.d_model:
        raise ModelError(
            f"the unembedding of {model.name} is stored as {str(weight.dtype)[6:]} {tuple(weight.shape)}, "
            "which means nothing without its scales: load the model unquantised"
        )
    return weight, None if head.bias is None else head.bias.detach()


_PLAIN = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
"""Narrower floats (float8) are codes too: their scales lie elsewhere."""

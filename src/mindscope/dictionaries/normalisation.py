"""Per-token normalisation: what some published SAEs do to an activation before they read it, and undo behind.

A factor that is the same for all tokens is folded into the weights. One that depends on the token cannot be:
with s the scale and m the shift of a token, the dictionary reads (x - m) / s and its reconstruction is
s * (what it writes) + m. Both are as SAELens has them:

- `layer_norm`: m is the mean over the width, s the standard deviation with n - 1 below; 1e-5 is added to it
  where it divides, and not where it multiplies.
- `unit_norm`: m = 0, s = |x| / sqrt(width), so that every token has the norm sqrt(width).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.dictionaries.kinds import Normalisation

EPSILON = 1e-5
"""What is added to a standard deviation before it divides."""


def normalise_tokens(
    x: Float[Tensor, "tokens width"], normalisation: Normalisation
) -> Float[Tensor, "tokens width"]:
    """What the encoder sees of activations."""
    shift, scale = _shift_and_scale(x, normalisation)
    if normalisation == "layer_norm":
        return (x - shift) / (scale + EPSILON)
    return x / scale.clamp(min=torch.finfo(x.dtype).tiny)


def restore_tokens(
    written: Float[Tensor, "tokens width"], x: Float[Tensor, "tokens width"], normalisation: Normalisation
) -> Float[Tensor, "tokens width"]:
    """What the decoder wrote for activations `x`, in their own scale."""
    shift, scale = _shift_and_scale(x.to(written.dtype), normalisation)
    return written * scale + shift


def _shift_and_scale(x: Tensor, normalisation: Normalisation) -> tuple[Tensor, Tensor]:
    """`[tokens, 1]` each."""
    if normalisation == "layer_norm":
        return x.mean(1, keepdim=True), x.std(1, keepdim=True)
    return x.new_zeros(len(x), 1), x.norm(dim=1, keepdim=True) / x.shape[1] ** 0.5

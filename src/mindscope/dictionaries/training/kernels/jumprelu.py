"""JumpReLU with a straight-through gradient, as in the circuits update of January 2025."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def jumprelu(
    preactivations: Float[Tensor, "tokens latents"], log_threshold: Float[Tensor, "latents"], bandwidth: float
) -> Float[Tensor, "tokens latents"]:
    """Computes z where z > exp(t), else 0.

    Backward, with e the bandwidth: d/dz is 1 where z > exp(t), else 0; d/dt is -exp(t) / e where
    |z - exp(t)| < e / 2, else 0.
    """
    activations = _JumpReLU.apply(preactivations, log_threshold, bandwidth)
    assert isinstance(activations, Tensor)
    return activations


class _JumpReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, preactivations: Tensor, log_threshold: Tensor, bandwidth: float) -> Tensor:
        ctx.save_for_backward(preactivations, log_threshold)
        ctx.bandwidth = bandwidth
        return preactivations * (preactivations > log_threshold.exp())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        preactivations, log_threshold = ctx.saved_tensors
        threshold = log_threshold.exp()
        # The step itself has no gradient. A rectangle of this width around it stands for the density of
        # pre-activations there: raising the threshold loses about exp(t) for each of these.
        near = (preactivations - threshold).abs() < ctx.bandwidth / 2
        to_threshold = -(threshold / ctx.bandwidth) * (gradient * near).sum(0)
        return gradient * (preactivations > threshold), to_threshold, None

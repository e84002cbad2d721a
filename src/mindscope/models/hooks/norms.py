"""A norm with its scale held: a linear map, found by asking the module, whatever a family calls its parts."""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mindscope.errors import ModelError

LARGE = 1e3
"""What a norm is asked with: so large that the epsilon under its root does not matter."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearNorm:
    """A LayerNorm or RMSNorm as scale * weight * (x - mean) + bias; the mean only where it is `centred`."""

    weight: Float[Tensor, "width"]
    bias: Float[Tensor, "width"]
    centred: bool

    def linear(self, x: Float[Tensor, "*tokens width"]) -> Float[Tensor, "*tokens width"]:
        """The part between scale and bias: weight * (x - mean)."""
        return self.weight * (x - x.mean(-1, keepdim=True) if self.centred else x)

    def transposed(self, y: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """The transpose of `linear`: what y, read behind the norm, reads before it (up to the scale)."""
        y = y * self.weight
        return y - y.mean(-1, keepdim=True) if self.centred else y

    def scale(
        self, x: Float[Tensor, "*tokens width"], output: Float[Tensor, "*tokens width"]
    ) -> Float[Tensor, "*tokens"]:
        """The scale the norm had where it made `output` of x, by least squares."""
        direction = self.linear(x.float())
        wanted = output.float() - self.bias
        return (direction * wanted).sum(-1) / direction.square().sum(-1).clamp_min(1e-30)


def linear_norm(norm: nn.Module | None, width: int) -> LinearNorm:
    """The weight, the bias, and whether the mean is subtracted; float32 on the CPU. None: the identity.

    Families store the weight under different names, some as its difference from 1. A vector of mean 0 passes
    every norm with its weight alone, and the same vector negated tells the bias.

    Raises:
        ModelError: the model is shared out, and the norm's weights are not here.
    """
    if norm is None:
        return LinearNorm(
            torch.ones(width, dtype=torch.float32), torch.zeros(width, dtype=torch.float32), centred=False
        )
    if any(weight.is_meta for weight in norm.parameters()):
        raise ModelError(
            "the weights of a norm wait in memory or on disk: load the model without a device map"
        )
    own = copy.deepcopy(norm).float().cpu()
    signs = torch.ones(width, dtype=torch.float32)
    signs[1::2] = -1
    if width % 2:
        signs[-1] = 0
    size = signs.square().mean().sqrt()

    def answers(vector: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            up, down = own(LARGE * vector[None])[0], own(-LARGE * vector[None])[0]
        return (up - down) / 2, (up + down) / 2

    weight = torch.zeros(width, dtype=torch.float32)
    for probe in (signs, signs.roll(1)):  # of an odd width, each misses one place
        weight = torch.where(probe != 0, answers(probe / size)[0] * size * probe, weight)
    bias = answers(signs)[1]
    ones = answers(torch.ones(width, dtype=torch.float32))[0]
    return LinearNorm(weight, bias, centred=bool(ones.abs().max() < 1e-3 * weight.abs().max()))

"""Where rows of a graph begin: gradients that are put into the residual stream."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.circuits.index_spaces import PointNumber
from mindscope.circuits.replacement.block import FrozenNorm


@dataclass(frozen=True, slots=True, eq=False)
class Injections:
    """Linear readings of the stream, `vector . stream[point, position] + bias`: a target or a pre-activation.

    The gradient of such a reading with respect to the stream is its vector, at one position of one point.

    Attributes:
        point: `[rows]`, numbers of `StreamPoint`s.
        position: `[rows]`, of the token.
        vector: `[rows, d_model]`.
        bias: `[rows]`.
    """

    point: PointNumber
    position: Int[Tensor, "rows"]
    vector: Float[Tensor, "rows d_model"]
    bias: Float[Tensor, "rows"]

    def __len__(self) -> int:
        return len(self.point)

    def __getitem__(self, rows: Tensor | slice) -> "Injections":
        return Injections(self.point[rows], self.position[rows], self.vector[rows], self.bias[rows])

    @classmethod
    def concatenate(cls, parts: "Sequence[Injections]") -> "Injections":
        """The rows of all parts, one part behind the other."""
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in cls.__slots__))


def before_norm(norm: FrozenNorm, position: Tensor, vector: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors and biases that read behind a norm, as those that read the same before it.

    With y = scale * linear(x) + norm.bias, vector . y + bias = (scale * linearᵀ(vector)) . x +
    (vector . norm.bias + bias), at one position per row.
    """
    shift = 0.0 if isinstance(norm.bias, float) else vector @ norm.bias
    return norm.transposed(vector) * norm.scale[position, None], bias + shift

"""One encoder and its decoders: the weights of latents that read together."""

from dataclasses import dataclass, fields
from typing import get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mindscope.dictionaries.kinds import Activation
from mindscope.dictionaries.training import kernels
from mindscope.errors import DataError
from mindscope.features import SparseCode

ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)

ENCODED_AT_ONCE = 2**26
"""The most pre-activations that are in memory at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Coder:
    """Row i of `W_enc` reads latent i, row i of `W_dec` writes it.

    A coder that reads several sites has their vectors side by side in the columns of `W_enc`, one that writes
    several has theirs in the columns of `W_dec`, in the order of its wiring.

    Raises:
        DataError: shapes that do not fit, NaN, or a coder whose latents can never be active or write nothing.
    """

    W_enc: Float[Tensor, "latents d_in"]
    b_enc: Float[Tensor, "latents"]
    W_dec: Float[Tensor, "latents d_out"]
    threshold: Float[Tensor, "latents"] | None = None
    """A latent of a JumpReLU or BatchTopK dictionary is active where its pre-activation is above this."""
    W_skip: Float[Tensor, "d_in d_out"] | None = None
    """The linear path of a skip transcoder: x @ W_skip is added to what the latents write."""

    def __post_init__(self) -> None:
        for name, tensor in self.tensors().items():
            if not tensor.isfinite().all():
                raise DataError(
                    f"{name} holds NaN or infinity: the dictionary is damaged, or never converged"
                )
        latents, d_in, d_out = len(self.W_enc), self.W_enc.shape[-1], self.W_dec.shape[-1]
        shapes = {
            "W_enc": (latents, d_in),
            "b_enc": (latents,),
            "W_dec": (latents, d_out),
            "threshold": (latents,),
            "W_skip": (d_in, d_out),
        }
        for name, tensor in self.tensors().items():
            if tuple(tensor.shape) != shapes[name]:
                raise DataError(
                    f"{name} has shape {tuple(tensor.shape)}, the others want {shapes[name]}: "
                    "W_enc is [latents, d_in], W_dec is [latents, d_out]"
                )
        if not ((self.W_enc != 0).any(1) & (self.W_dec != 0).any(1)).any():
            raise DataError("every latent is dead: no row of W_enc and W_dec holds anything; train it again")

    @property
    def n_latents(self) -> int:
        return len(self.W_enc)

    def tensors(self) -> dict[str, Tensor]:
        """The weights by name."""
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: tensor for name, tensor in tensors.items() if tensor is not None}

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Coder":
        """On a device and in a type. Weights are checked again only where the type may not hold them."""
        moved = {name: tensor.to(device, dtype) for name, tensor in self.tensors().items()}
        if dtype is not None and torch.finfo(dtype).max < torch.finfo(self.W_enc.dtype).max:
            return Coder(**moved)
        coder = object.__new__(Coder)
        for part in fields(self):
            object.__setattr__(coder, part.name, moved.get(part.name))
        return coder

    def preactivations(self, x: Float[Tensor, "tokens d_in"]) -> Float[Tensor, "tokens latents"]:
        """Computes x W_encᵀ + b_enc."""
        return functional.linear(x.to(self.W_enc.dtype), self.W_enc, self.b_enc)

    def encode(self, x: Float[Tensor, "tokens d_in"], activation: Activation, k: int | None) -> SparseCode:
        """The code of each token; see `activate`. Goes through the tokens in pieces of bounded memory."""
        pieces = x.split(max(1, ENCODED_AT_ONCE // self.n_latents)) or (x,)
        return SparseCode.stacked(
            [self.activate(self.preactivations(piece), activation, k) for piece in pieces]
        )

    def activate(
        self, preactivations: Float[Tensor, "tokens latents"], activation: Activation, k: int | None
    ) -> SparseCode:
        """Pre-activations through the activation function, as it is at inference.

        `relu`: the positive ones. `topk`: the k largest of each token, of these the positive ones.
        `jumprelu`, `batchtopk`: those above the latent's threshold (of BatchTopK: arXiv 2412.06410, eq. 5).
        """
        if activation == "relu":
            return SparseCode.of(preactivations.relu())
        if activation == "topk":
            assert k is not None
            values, indices = kernels.top_of_rows(preactivations, min(k, self.n_latents))
            return SparseCode.of_top(indices, values, self.n_latents)
        assert self.threshold is not None
        return SparseCode.of(preactivations * (preactivations > self.threshold))

    def decode(self, code: SparseCode) -> Float[Tensor, "tokens d_out"]:
        """The sum of decoder rows times activations, without bias or skip. Costs what is active alone."""
        values = code.values.to(self.W_dec.dtype)
        return kernels.decode(SparseCode(code.indices, values, code.offsets, code.n_latents), self.W_dec)

"""How sparse a code is: L0, dead and dense latents."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from mindscope.features import SparseCode

DENSE = 0.1
"""A latent that is active on more than this share of the tokens is dense (SAEBench)."""


@dataclass(frozen=True, slots=True)
class Sparsity:
    """How often latents are active.

    Attributes:
        l0: active latents of a token, the mean; over all coders.
        dead: the share of latents that were active on no token.
        dense: the share that were active on more than a tenth of the tokens.
    """

    l0: float
    dead: float
    dense: float

    @classmethod
    def of(cls, counts: Int[Tensor, "latents"], tokens: int) -> "Sparsity":
        """From how often each latent was active, and how many tokens there were."""
        return cls(
            int(counts.sum()) / tokens,
            float((counts == 0).double().mean()),
            float((counts > DENSE * tokens).double().mean()),
        )


def active_counts(code: SparseCode) -> Int[Tensor, "latents"]:
    """How many tokens each latent is active on."""
    return torch.bincount(code.indices, minlength=code.n_latents).cpu()

"""Latent scaling: whether a latent that writes in one model only is really absent from the other.

Minder et al. 2025, "Overcoming sparsity artifacts in crosscoders to interpret chat-tuning" (arXiv
2504.02922). An L1 crosscoder can give a latent a decoder row in the tuned model alone though the base has the
concept too:

- complete shrinkage: the base has it weakly, and the penalty drives its decoder row to zero, so that the
  concept is left in the base's error;
- latent decoupling: the base has it, written by other latents, so that it is in the base's reconstruction.

For latent j with activations f and decoder row d of its own model, the best scale of f d in a target y is

    beta = sum_t f_t (d . y_t) / (|f|^2 |d|^2),

in closed form. As target serve, of either model, the error with the latent's own contribution added back, and
the reconstruction. nu is the other model's beta over the own one's: nu of the error tells complete shrinkage,
nu of the reconstruction latent decoupling. A latent is the model's own if both are small: below 0.2 and below
0.5.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.dictionaries import Dictionary, relative_decoder_norms
from mindscope.errors import DataError
from mindscope.features import SparseCode

NU_ERROR, NU_RECONSTRUCTION = 0.2, 0.5
"""The paper's thresholds: a latent below both is specific to its model."""
EXCLUSIVE_NORM = 0.9
"""The share of decoder norm from which a latent counts as written by one model alone, as `dictionary train`
counts it."""


@dataclass(frozen=True)
class LatentScaling:
    """For every latent how much of it is in the other model; NaN for latents that were never active.

    Attributes:
        model: whose latents are asked about.
        norm: the share of the decoder norms that lies in that model.
        nu_error: of the errors.
        nu_reconstruction: of the reconstructions.
        n_active: tokens on which the latent was active.
    """

    model: str
    norm: Float[Tensor, "latents"]
    nu_error: Float[Tensor, "latents"]
    nu_reconstruction: Float[Tensor, "latents"]
    n_active: Float[Tensor, "latents"]

    @property
    def claimed(self) -> Bool[Tensor, "latents"]:
        """Latents that decoder norms alone call the model's own."""
        return (self.norm >= EXCLUSIVE_NORM) & (self.n_active > 0)

    @property
    def shrunk(self) -> Bool[Tensor, "latents"]:
        """Claimed latents that the other model's error holds: complete shrinkage."""
        return self.claimed & ~(self.nu_error < NU_ERROR)

    @property
    def decoupled(self) -> Bool[Tensor, "latents"]:
        """Claimed latents that the other model's reconstruction holds: latent decoupling."""
        return self.claimed & ~(self.nu_reconstruction < NU_RECONSTRUCTION)

    @property
    def exclusive(self) -> Bool[Tensor, "latents"]:
        """Claimed latents that are really the model's own."""
        return self.claimed & ~self.shrunk & ~self.decoupled


@torch.no_grad()
def scale_latents(
    crosscoder: Dictionary, batches: Iterable[Float[Tensor, "_ d_in"]], model: str
) -> LatentScaling:
    """The betas of every latent in both models, in one pass over activations.

    Args:
        crosscoder: of two models with sites of the same widths.
        batches: activations of both, the reads side by side.
        model: whose latents are asked about; its decoder rows are scaled.

    Raises:
        DataError: not two models of one width, no such model, or no activations.
    """
    norm = relative_decoder_norms(crosscoder, model)  # refuses what is not of two models
    other = next(site.model for site in crosscoder.writes if site.model != model)
    columns = {name: _columns(crosscoder, name) for name in (model, other)}
    if len(columns[model]) != len(columns[other]):
        raise DataError("latent scaling compares activations of one width: these models have unlike ones")
    W_dec = crosscoder.coder.W_dec.float()
    rows = {name: W_dec[:, places] for name, places in columns.items()}
    latents, width = rows[model].shape
    # Sums over tokens of f times the target, latents x width: the target of either kind in either model.
    sums = {
        (kind, name): torch.zeros(latents, width) for kind in ("error", "reconstruction") for name in columns
    }
    energy, n_active, n_tokens = torch.zeros(latents), torch.zeros(latents), 0
    for batch in batches:
        code = crosscoder.encode(batch.float())
        written = crosscoder.decode(code)
        weighted = _weighted(code)
        for name, places in columns.items():
            sums["error", name] += weighted @ (batch.float() - written)[:, places]
            sums["reconstruction", name] += weighted @ written[:, places]
        energy.index_add_(0, code.indices, code.values.square())
        n_active.index_add_(0, code.indices, torch.ones_like(code.values))
        n_tokens += len(batch)
    if not n_tokens:
        raise DataError("latent scaling needs activations: give a corpus with tokens")
    scale = energy * rows[model].square().sum(1)
    # The latent's own contribution f d' goes back into the error: it adds d . d' / |d|^2 to beta.
    added = {name: (rows[model] * rows[name]).sum(1) / rows[model].square().sum(1) for name in columns}

    def nu(kind: str) -> Tensor:
        betas = {name: (rows[model] * sums[kind, name]).sum(1) / scale for name in columns}
        if kind == "error":
            betas = {name: beta + added[name] for name, beta in betas.items()}
        return betas[other] / betas[model]

    return LatentScaling(model, norm, nu("error"), nu("reconstruction"), n_active)


def _columns(crosscoder: Dictionary, model: str) -> list[int]:
    """Where the sites of a model are among the columns of what is written."""
    places: list[int] = []
    start = 0
    for site in crosscoder.writes:
        if site.model == model:
            places += range(start, start + site.width)
        start += site.width
    return places


def _weighted(code: SparseCode) -> Tensor:
    """The code's transpose, latents x tokens, sparse: a product with targets costs what is active."""
    places = torch.stack([code.indices, code.tokens])
    shape = (code.n_latents, len(code))
    return torch.sparse_coo_tensor(places, code.values, shape, check_invariants=False)

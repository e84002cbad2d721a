"""Normalisation: measured once on the first activations, folded into the weights at the end."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.dictionaries.coder import Coder
from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.lazy import LazyCoders
from mindscope.dictionaries.training.processes import TrainingWorld
from mindscope.dictionaries.training.weights import TrainableCoder, TrainableWeights
from mindscope.errors import DataError
from mindscope.features import Site


@dataclass(frozen=True)
class ActivationScaling:
    """Each site is scaled by one number such that the mean norm of its vectors is sqrt(width).

    Coefficients and learning rates of the papers are meant for activations of that size. Where b_dec is not
    subtracted from the input, the TopK methods also subtract the mean: a large common component makes most
    latents die.
    """

    mean: Float[Tensor, "d_in"]
    read: Float[Tensor, "d_in"]
    write: Float[Tensor, "d_out"]

    @classmethod
    def measured(
        cls, x: Float[Tensor, "tokens d_in"], y: Float[Tensor, "tokens d_out"], weights: TrainableWeights
    ) -> "ActivationScaling":
        """Raises DataError for a site where every vector is zero, or a value that is not finite."""
        centre = weights.config.top and not weights.centred_by_b_dec
        mean = x.mean(0) if centre else x.new_zeros(x.shape[1])
        return cls(mean, _factors(x - mean, weights.reads), _factors(y, weights.writes))

    def inputs(self, x: Float[Tensor, "tokens d_in"]) -> Float[Tensor, "tokens d_in"]:
        return (x - self.mean) * self.read

    def targets(self, y: Float[Tensor, "tokens d_out"]) -> Float[Tensor, "tokens d_out"]:
        return y * self.write

    def tensors(self) -> dict[str, Tensor]:
        return {"mean": self.mean, "read": self.read, "write": self.write}


@torch.no_grad()
def fold_scaling(
    weights: TrainableWeights,
    scaling: ActivationScaling,
    thresholds: Sequence[float],
    metadata: dict[str, object],
) -> Dictionary:
    """The finished dictionary: it takes activations as they are, and its decoder rows have norm 1.

    Activations are rescaled with the decoder rows. In a crosscoder the norms of a latent's sites sum to 1.
    Where TopK compares latents by their activations, these keep their ratios: a TopK transcoder or CLT is
    not rescaled, a TopK crosscoder has norms that sum to 1 in the units of the training.

    Args:
        weights: as trained.
        scaling: that of the training.
        thresholds: per coder, what a BatchTopK latent's activation (in a crosscoder times its norms) must
            exceed.
        metadata: to keep with it.

    Returns:
        The whole dictionary. Where processes share the latents of several coders, its coders are put together
        when they are asked for, and all of these processes ask for them in the same order.
    """
    config = weights.config
    b_dec = weights.b_dec / scaling.write
    for coder in weights.coders():
        if (skip := _folded_skip(coder, scaling)) is not None:
            b_dec[coder.outputs] -= scaling.mean[coder.inputs] @ skip
    parts = list(weights.coders())

    def finished(index: int) -> Coder:
        return _gathered(_folded(weights, index, scaling, thresholds[index]), weights.latents)

    # Where processes share latents, one coder after the other is put together: whole, all of them may be more
    # than one process has room for.
    lazy = weights.latents.count > 1 and len(parts) > 1
    return Dictionary(
        weights.reads,
        weights.writes,
        weights.wiring,
        LazyCoders(len(parts), finished) if lazy else tuple(finished(i) for i in range(len(parts))),
        b_dec,
        config.activation,
        config.k if config.top else None,
        weights.centred_by_b_dec,
        metadata,
    )


@torch.no_grad()
def _folded(
    weights: TrainableWeights, index: int, scaling: ActivationScaling, batch_threshold: float
) -> Coder:
    """The rows of a coder that this process holds, in the units of the activations."""
    # In training, z = W_enc ((x - mean) * read) + b_enc and y * write = z W_dec + b_dec. Both scalings go
    # into the matrices, the mean into the bias; what is left takes x and gives y.
    config, coder = weights.config, list(weights.coders())[index]
    read, write, mean = scaling.read[coder.inputs], scaling.write[coder.outputs], scaling.mean[coder.inputs]
    W_enc, W_dec = coder.W_enc * read, coder.W_dec / write
    b_enc = coder.b_enc - W_enc @ mean
    threshold = None
    scores = _positive(weights.norms(coder.W_dec, index))
    if config.method == "jumprelu":
        assert coder.log_threshold is not None
        threshold = coder.log_threshold.exp()
    elif config.activation == "batchtopk":
        scored = scores if config.kind == "crosscoder" else torch.ones_like(scores)
        threshold = batch_threshold / scored
    # ReLU and thresholds commute with a positive factor: it may move from the decoder to the encoder.
    # Which latents are the top k does not survive that, unless the factor was in the score already.
    if config.method != "topk" or weights.tied:
        crossed = config.method == "topk" and config.kind == "crosscoder"
        scale = scores if crossed else _positive(weights.norms(W_dec, index))
        W_enc, b_enc, W_dec = W_enc * scale[:, None], b_enc * scale, W_dec / scale[:, None]
        threshold = None if threshold is None else threshold * scale
    return Coder(W_enc, b_enc, W_dec, threshold, _folded_skip(coder, scaling))


def _folded_skip(coder: TrainableCoder, scaling: ActivationScaling) -> Tensor | None:
    """The linear path in the units of the activations."""
    if coder.W_skip is None:
        return None
    return scaling.read[coder.inputs][:, None] * coder.W_skip / scaling.write[coder.outputs]


def _gathered(coder: Coder, latents: TrainingWorld) -> Coder:
    """A coder with the rows of all slices."""
    if latents.count == 1:
        return coder
    W_enc, b_enc, W_dec = (latents.joined(part)[0] for part in (coder.W_enc, coder.b_enc, coder.W_dec))
    threshold = None if coder.threshold is None else latents.joined(coder.threshold)[0]
    return Coder(W_enc, b_enc, W_dec, threshold, coder.W_skip)


def _positive(norms: Float[Tensor, "latents"]) -> Float[Tensor, "latents"]:
    return torch.where(norms > 0, norms, 1.0)


def _factors(values: Tensor, sites: Sequence[Site]) -> Tensor:
    factors = []
    for site, part in zip(sites, values.split([site.width for site in sites], dim=1), strict=True):
        norm = part.norm(dim=1).mean()
        if not norm.isfinite():
            raise DataError(f"activations at {site.address} hold NaN or infinity: run the model in float32")
        if norm == 0:
            raise DataError(f"activations at {site.address} are all alike or zero: nothing to learn there")
        factors.append((site.width**0.5 / norm).expand(site.width))
    return torch.cat(factors)

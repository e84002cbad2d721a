"""Training that begins with a finished dictionary in place of random weights: the inverse of `fold_scaling`.

A model that was trained a little further has nearly the same features. Its dictionary, begun with that of the
model before, needs a fraction of the steps, and its latents keep their numbers, as far as they keep their
meaning.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.training.config import DictionaryConfig
from mindscope.dictionaries.training.scaling import ActivationScaling
from mindscope.dictionaries.training.weights import TrainableCoder, TrainableWeights
from mindscope.errors import DataError
from mindscope.features import Site


def require_alike(config: DictionaryConfig, weights: TrainableWeights, begun: Dictionary) -> None:
    """Refuse a dictionary that training cannot begin with.

    Raises:
        DataError: it reads or writes other addresses or widths, or has other latents or another activation.
    """
    wanted = (_places(weights.reads), _places(weights.writes), weights.wiring)
    given = (_places(begun.reads), _places(begun.writes), begun.wiring)
    for what, ours, theirs in zip(("reads", "writes", "latents"), wanted, given, strict=True):
        if ours != theirs:
            raise DataError(
                f"{config.name} cannot begin with a dictionary that {_say(what, begun)}: "
                f"it {_say(what, weights)}"
            )
    centred = begun.apply_b_dec_to_input == weights.centred_by_b_dec
    skips = all((coder.W_skip is not None) == config.skip for coder in begun.coders)
    if begun.activation != config.activation or begun.normalisation is not None or not (centred and skips):
        raise DataError(
            f"{config.name} cannot begin with a dictionary of another method: that is {begun.activation}"
            f"{', with a linear path' if begun.coders[0].W_skip is not None else ''}"
            f"{', of tokens normalised by themselves' if begun.normalisation else ''}"
        )


@torch.no_grad()
def take_weights(weights: TrainableWeights, scaling: ActivationScaling, begun: Dictionary) -> list[float]:
    """Begin with the weights of a finished dictionary, in the units of the training.

    Returns:
        Per coder the BatchTopK threshold at which, folded at once, the same dictionary comes out; 0 for
        other methods.
    """
    device = weights.b_dec.device
    b_dec, thresholds = begun.b_dec.to(device).float().clone(), []
    for index, coder in enumerate(weights.coders()):
        finished = begun.coders[index].to(device)
        rows, threshold = coder.rows, finished.threshold
        read, write = scaling.read[coder.inputs], scaling.write[coder.outputs]
        W_enc, b_enc = finished.W_enc[rows].float(), finished.b_enc[rows].float()
        b_enc = b_enc + W_enc @ scaling.mean[coder.inputs]
        W_enc, W_dec = W_enc / read, finished.W_dec[rows].float() * write
        threshold = None if threshold is None else threshold[rows].float()
        # A positive factor may move from the encoder to the decoder; which one it was is not in the file.
        factor = _factor(weights, W_enc, W_dec, threshold)
        coder.W_enc.copy_(W_enc / factor[:, None])
        coder.b_enc.copy_(b_enc / factor)
        coder.W_dec.copy_(W_dec * factor[:, None])
        thresholds.append(_take_threshold(weights, coder, index, threshold, factor))
        if coder.W_skip is not None and finished.W_skip is not None:
            skip = finished.W_skip.float()
            b_dec[coder.outputs] += scaling.mean[coder.inputs] @ skip
            coder.W_skip.copy_(skip * write / read[:, None])
    weights.b_dec.copy_(b_dec * scaling.write)
    weights.even_shared()
    return thresholds


def _factor(
    weights: TrainableWeights, W_enc: Tensor, W_dec: Tensor, threshold: Tensor | None
) -> Float[Tensor, "latents"]:
    """By how much each latent's activations are smaller in training.

    Where rows are held at norm 1 that decides it, as for penalties, which do not see it. Where TopK compares
    activations, all are divided by one number, or by their thresholds, which were one in training; encoder
    rows then have norm 1 on the mean, as they begin.
    """
    if weights.unit_rows or not weights.config.top:
        return _positive(W_dec.norm(dim=1)).reciprocal()
    if threshold is None or weights.config.kind == "crosscoder":
        factor = torch.ones(len(W_enc), device=W_enc.device)
    else:
        factor = _positive(threshold)
    return factor * _positive((W_enc.norm(dim=1) / factor).mean())


def _take_threshold(
    weights: TrainableWeights, coder: TrainableCoder, index: int, threshold: Tensor | None, factor: Tensor
) -> float:
    if threshold is None:
        return 0.0
    threshold = threshold / factor
    if coder.log_threshold is not None:
        coder.log_threshold.copy_(threshold.clamp_min(1e-12).log())
        return 0.0
    if weights.config.kind == "crosscoder":
        threshold = threshold * weights.norms(coder.W_dec, index)
    return float(threshold.mean())


def _positive(numbers: Tensor) -> Tensor:
    return torch.where(numbers > 0, numbers, 1.0)


def _places(sites: Sequence[Site]) -> list[tuple[str, int]]:
    # Of whichever model: it is another one for which training goes on.
    return [(str(site.address), site.width) for site in sites]


def _say(what: str, of: Dictionary | TrainableWeights) -> str:
    if what == "latents":
        return f"has {' + '.join(str(coder.n_latents) for coder in of.wiring)} latents"
    sites = of.reads if what == "reads" else of.writes
    return f"{what} {', '.join(f'{site.address} ({site.width} wide)' for site in sites)}"

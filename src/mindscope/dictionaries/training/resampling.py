"""Resampling dead latents (Bricken et al. 2023, "Towards Monosemanticity", appendix on neuron resampling)."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from mindscope.dictionaries.training.objective import before_latents, placed
from mindscope.dictionaries.training.weights import TrainableWeights

SHARE = 0.2
"""The norm of a new encoder row, as a share of the mean norm of the living ones."""
TOKENS_AT_ONCE = 1024


@torch.no_grad()
def token_losses(
    weights: TrainableWeights,
    x: Float[Tensor, "tokens d_in"],
    y: Float[Tensor, "tokens d_out"],
    coefficient: float,
) -> Float[Tensor, "tokens"]:
    """The loss of a ReLU dictionary on every token by itself; their mean is that of the batch.

    Args:
        weights: of method `relu`.
        x: normalised, what is read.
        y: normalised, what is to be written.
        coefficient: of the sparsity penalty now.
    """
    losses: list[Tensor] = []
    for read, target in zip(x.split(TOKENS_AT_ONCE), y.split(TOKENS_AT_ONCE), strict=True):
        written, penalty = before_latents(weights, read), read.new_zeros(len(read))
        for index, coder in enumerate(weights.coders()):
            active = functional.linear(read[:, coder.inputs], coder.W_enc, coder.b_enc).relu()
            written = written + placed(active @ coder.W_dec, coder.outputs, weights.d_out)
            penalty = penalty + active @ weights.norms(coder.W_dec, index)
        # what the latents of other processes write, if there are any; the bias is counted once
        if weights.latents.count > 1:
            bias = before_latents(weights, read)
            written = weights.latents.sum(written - bias) + bias
            weights.latents.sum(penalty)
        losses.append((written - target).square().sum(1) + coefficient * penalty)
    return torch.cat(losses)


@torch.no_grad()
def resample(
    weights: TrainableWeights,
    optimizer: torch.optim.Optimizer,
    dead: Sequence[Bool[Tensor, "_"]],
    x: Float[Tensor, "tokens d_in"],
    y: Float[Tensor, "tokens d_out"],
    losses: Float[Tensor, "tokens"],
    seed: int,
) -> int:
    """Give each dead latent a token that is badly reconstructed, and say how many latents that were.

    A token is drawn with a probability proportional to its loss squared. It becomes the latent's decoder row
    and, with 0.2 times the mean norm of the living, its encoder row; the bias is 0, and Adam forgets what it
    knew of all three. Where the paper differs from `relu` here, it is meant as it is there: the paper's
    encoder takes x - b_dec, so the token is taken as x - b_dec, and a bias of 0 there is -W_enc b_dec here;
    the paper's decoder rows have norm 1, so new rows have the mean norm of the living. Where a dictionary
    does not write what it reads, the encoder row is the token's x, the decoder row its y - b_dec.

    Args:
        weights: changed in place.
        optimizer: Adam, over these weights.
        dead: per coder, which of the latents that this process holds are drawn again.
        x: normalised activations to draw from.
        y: what is to be written for them.
        losses: of each token.
        seed: of the draw.
    """
    draw = torch.Generator().manual_seed(seed)
    odds = losses.double().square().cpu()
    total = 0
    for coder, own_dead in zip(weights.coders(), dead, strict=True):
        silent, own = weights.latents.joined(own_dead)  # of all slices
        n_drawn = int(silent.sum())
        if not n_drawn or n_drawn == len(silent):
            continue  # without a living latent there is no norm to go by
        # rows x tokens: a token may be drawn for several latents
        drawn = torch.multinomial(odds, n_drawn, replacement=True, generator=draw).to(x.device)
        # of these the ones for latents that this process holds
        places = silent.nonzero().flatten()
        drawn = drawn[(places >= own.start) & (places < own.stop)]
        rows = own_dead.nonzero().flatten()
        target = y[drawn][:, coder.outputs] - weights.b_dec[coder.outputs]
        read = target if weights.tied and not weights.config.causal else x[drawn][:, coder.inputs]
        # New rows are measured by those of living latents; the encoder's are shorter, so that a new latent
        # does not take over at once.
        encoder_norm, decoder_norm = (
            weights.latents.joined(matrix.norm(dim=1))[0][~silent].mean()
            for matrix in (coder.W_enc, coder.W_dec)
        )
        coder.W_enc[rows] = SHARE * encoder_norm * functional.normalize(read)
        coder.W_dec[rows] = decoder_norm * functional.normalize(target)
        coder.b_enc[rows] = -(coder.W_enc[rows] @ weights.b_dec[coder.inputs]) if weights.tied else 0.0
        for parameter in (coder.W_enc, coder.b_enc, coder.W_dec):
            for moment in ("exp_avg", "exp_avg_sq"):  # what Adam knew was of the dead latent
                optimizer.state[parameter][moment][rows] = 0
        total += n_drawn
    return total

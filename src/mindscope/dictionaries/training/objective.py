"""What each method minimises: named terms whose sum is the loss, each of which reaches a gradient.

1. What is written before any latent is laid down: the decoder bias, and the linear path of a skip transcoder.
2. Each coder encodes the columns that it reads. The TopK methods choose by kernels that cost what is active;
   ReLU goes the same way once few enough of its latents are active, and until then, as JumpReLU always, by
   dense products.
3. Each coder's decoder rows are added to the columns that it writes; `matryoshka` does so for nested prefixes
   of its latents, which gives several reconstructions of one batch.
4. Where processes share the latents, each encodes and decodes its own, and what they write is summed.
5. The error of every reconstruction is a term. The TopK methods add AuxK for dead latents, the others a
   penalty on activations times decoder norms.

Tensors are tokens x columns throughout; the columns are those of all sites side by side.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from mindscope.dictionaries.training import kernels
from mindscope.dictionaries.training.kernels import Choice
from mindscope.dictionaries.training.processes import (
    ALONE_MESH,
    TrainingMesh,
    share_with_slices,
    sum_over_slices,
)
from mindscope.dictionaries.training.weights import TrainableCoder, TrainableWeights
from mindscope.features import SparseCode, count_each, find_places

SPARSE_BELOW = 1 / 16
"""A ReLU dictionary goes the sparse way where a smaller share of its latents is active."""


@dataclass(frozen=True)
class LossOutput:
    """One batch through a dictionary in training.

    Attributes:
        terms: the parts of the loss, their coefficients included.
        residual: `[tokens, d_out]`, target minus reconstruction.
        active: per coder how often each latent that this process holds was active.
        smallest: per coder the smallest chosen score, for BatchTopK; numbers that are on the device still.
    """

    terms: dict[str, Tensor]
    residual: Float[Tensor, "tokens d_out"]
    active: list[Int[Tensor, "_"]]
    smallest: list[Float[Tensor, ""]]


@dataclass(frozen=True)
class LossState:
    """What the loss depends on beside the weights.

    Attributes:
        ramp: the share of the sparsity coefficient that holds now.
        variance: of the targets, summed over their width; the TopK losses are in its units.
        expected: per coder about what the smallest score of a BatchTopK batch is.
        dead: per coder which latents AuxK is to revive.
        density: the share of active latents in the batch before.
        bfloat16: whether matrix products are made in bfloat16.
        n_dead: per coder how many latents of all slices are dead, where that is known.
        mesh: the processes that share the batch, the mean of whose losses is that of the batch, and those
            that share the latents, all of which have the same loss.
    """

    ramp: float
    variance: float
    expected: Sequence[float]
    dead: Sequence[Bool[Tensor, "_"]]
    density: float
    bfloat16: bool
    mesh: TrainingMesh = ALONE_MESH
    n_dead: Sequence[int] | None = None


def compute_loss(
    weights: TrainableWeights,
    x: Float[Tensor, "tokens d_in"],
    y: Float[Tensor, "tokens d_out"],
    state: LossState,
) -> LossOutput:
    """The loss of one batch of normalised activations."""
    if weights.config.top:
        return _top(weights, x, y, state)
    if weights.config.method == "relu" and state.density < SPARSE_BELOW:
        return _sparse_relu(weights, x, y, state)
    return _dense(weights, x, y, state)


def _top(weights: TrainableWeights, x: Tensor, y: Tensor, state: LossState) -> LossOutput:
    """Reconstruction errors in units of the variance, summed over nested prefixes, and AuxK."""
    config, mesh = weights.config, state.mesh
    b_in = share_with_slices(weights.b_dec, mesh.latents) if weights.centred_by_b_dec else None
    # What the latents of this process write, for each prefix. Alone it goes on top of the bias at once; of
    # several slices the sum does.
    before = before_latents(weights, x)
    alone = mesh.latents.count == 1
    nested = [before if alone else torch.zeros_like(before) for _ in config.group_ends]
    active: list[Tensor] = []
    smallest: list[Tensor] = []
    for index, coder in enumerate(weights.coders()):
        # A crosscoder chooses by activation times the sum of its norms: what a latent writes in all, however
        # its scale is shared out between encoder and decoder.
        scores = None
        if config.kind == "crosscoder":
            scores = weights.norms(coder.W_dec.detach(), index)
        choice: Choice = (
            kernels.TopOfTokens(config.k, scores, mesh.latents)
            if config.method == "topk"
            else kernels.TopOfBatch(config.k, state.expected[index], scores, mesh)
        )
        code = kernels.encode(
            x[:, coder.inputs], coder.W_enc, coder.b_enc, choice, b_in=b_in, bfloat16=state.bfloat16
        )
        active.append(_counts(code))
        chosen = code.values.detach()
        chosen = chosen if scores is None else chosen * scores[code.indices]
        smallest.append(_smallest(chosen, mesh))
        # Prefix n writes what prefix n - 1 writes and its own latents: each row is decoded once.
        total = x.new_zeros(len(x), coder.W_dec.shape[1])
        for place, (added, rows) in enumerate(_grouped(code, coder.W_dec, _own_ends(weights, coder))):
            if len(rows):  # a process may hold no latent of a group
                total = total + kernels.decode(added, rows)
            nested[place] = nested[place] + placed(total, coder.outputs, weights.d_out)
    if not alone:  # one exchange of prefixes x tokens x columns for all coders
        nested = [*(sum_over_slices(torch.stack(nested), mesh.latents) + before)]
    errors = [(written - y).square().sum() / len(x) / state.variance for written in nested]
    # The last prefix has all latents: its error is what is left for the dead ones to explain.
    residual = (y - nested[-1]).detach()
    terms = {"reconstruction": torch.stack(errors).sum() if len(errors) > 1 else errors[0]}
    if config.auxk > 0 and any(n_dead := _count_dead(state)):
        terms["auxk"] = config.auxk * _auxk(weights, x, residual, state, b_in, n_dead)
    terms |= _delta(weights, y - nested[-1], state.variance)
    return LossOutput(terms, residual, active, smallest)


def _delta(weights: TrainableWeights, residual: Tensor, variance: float) -> dict[str, Tensor]:
    """The delta loss of a crosscoder between two models: |(y_t - y_b) - (d_t - d_b)|^2 (arXiv 2603.04426).

    Target and reconstruction enter by their difference, so it is the difference of the two residuals, in the
    units of the training: each site scaled by one number.
    """
    if weights.halves is None:
        return {}
    first, second = weights.halves
    gap = (residual[:, second] - residual[:, first]).square().sum() / len(residual)
    return {"delta": weights.config.delta * gap / variance}


def _count_dead(state: LossState) -> list[int]:
    """Per coder the dead latents of all slices."""
    if state.n_dead is not None:
        return list(state.n_dead)
    return state.mesh.latents.sum(torch.stack([dead.sum() for dead in state.dead])).tolist()


def _auxk(
    weights: TrainableWeights,
    x: Tensor,
    residual: Tensor,
    state: LossState,
    b_in: Tensor | None,
    n_dead: Sequence[int],
) -> Tensor:
    """AuxK (arXiv 2406.04093, appendix A.2): the dead latents reconstruct what the living left over.

    The residual has b_dec taken off already, so the dead latents write without it. k_aux is half the width.
    """
    x = x if b_in is None else x - b_in
    latents, data = state.mesh.latents, state.mesh.data
    guess = torch.zeros_like(residual)
    for coder, silent, count in zip(weights.coders(), state.dead, n_dead, strict=True):
        if not count:
            continue
        # alone a process has all that are dead, and knows how many
        rows = find_places(silent, count) if latents.count == 1 else silent.nonzero().flatten()
        # tokens x dead: the k_aux largest of each token, which costs little while few are dead
        preactivations = functional.linear(x[:, coder.inputs], coder.W_enc[rows], coder.b_enc[rows])
        k = min(max(1, coder.W_enc.shape[1] // 2), count)
        best = preactivations.topk(min(k, len(rows)), dim=1, sorted=False)
        values = best.values.relu()
        if latents.count > 1 and k < count:
            values = values * kernels.top_of_slices(best.values.detach(), k, latents)
        activations = torch.zeros_like(preactivations).scatter(1, best.indices, values)
        guess = guess + placed(activations @ coder.W_dec[rows], coder.outputs, weights.d_out)
    # In units of the residual's own variance, so that the coefficient means the same all through training.
    mean = data.sum(residual.mean(0)) / data.count
    spread = data.sum((residual - mean).square().sum()) / data.count
    return (residual - sum_over_slices(guess, latents)).square().sum() / spread


def _smallest(chosen: Tensor, mesh: TrainingMesh) -> Tensor:
    """The smallest chosen score of all processes, 0 where nothing was chosen."""
    if mesh.everyone.count == 1:
        return chosen.min() if len(chosen) else chosen.new_zeros(())
    least = mesh.everyone.least(float(chosen.min()) if len(chosen) else float("inf"))
    return chosen.new_tensor(least if least < float("inf") else 0.0)


def _sparse_relu(weights: TrainableWeights, x: Tensor, y: Tensor, state: LossState) -> LossOutput:
    """As `_dense` for ReLU, through the active latents alone."""
    written, active = _nothing_written(weights, x), []
    penalty = x.new_zeros(())
    for index, coder in enumerate(weights.coders()):
        code = kernels.encode(
            x[:, coder.inputs], coder.W_enc, coder.b_enc, kernels.PositivePart(), bfloat16=state.bfloat16
        )
        rows = kernels.decode(code, coder.W_dec)
        written = written + placed(rows, coder.outputs, weights.d_out)
        # entries x 1: each activation with its latent's norm, which shrinking the decoder would lower
        penalty = penalty + (
            code.values * weights.penalty_norms(coder.W_dec, index)[code.indices]
        ).sum() / len(x)
        active.append(_counts(code))
    return _penalised(weights, x, y, written, penalty, None, active, state)


def _dense(weights: TrainableWeights, x: Tensor, y: Tensor, state: LossState) -> LossOutput:
    """Squared errors, and a sparsity penalty on activations times decoder norms.

    ReLU: their sum. JumpReLU: the sum of tanh(c f |d|), and of the pre-activations' distances to the
    threshold, times |d|, for latents below it.
    """
    config = weights.config
    written, active = _nothing_written(weights, x), []
    penalty, below = x.new_zeros(()), x.new_zeros(())
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=state.bfloat16):
        for index, coder in enumerate(weights.coders()):
            z = functional.linear(x[:, coder.inputs], coder.W_enc, coder.b_enc)
            norms = weights.norms(coder.W_dec, index)
            if config.method == "relu":
                activations = z.relu()
                penalty = penalty + (activations.sum(0) @ weights.penalty_norms(coder.W_dec, index)) / len(x)
            else:
                z = z.float()  # thresholds are compared in full precision
                assert coder.log_threshold is not None
                assert config.bandwidth is not None  # `resolved` fills both in
                assert config.tanh_scale is not None
                activations = kernels.jumprelu(z, coder.log_threshold, config.bandwidth)
                saturated = torch.tanh(config.tanh_scale * activations * norms).sum(0)
                penalty = penalty + (saturated @ weights.penalty_factors(norms)) / len(x)
                gaps = (coder.log_threshold.exp() - z).relu()
                below = below + (gaps.sum(0) @ norms) / len(x)
            written = written + placed((activations @ coder.W_dec).float(), coder.outputs, weights.d_out)
            active.append((activations.detach() > 0).sum(0))
    return _penalised(weights, x, y, written, penalty, below, active, state)


def _nothing_written(weights: TrainableWeights, x: Tensor) -> Tensor:
    """What latents are added to: of one process what is written before them, of a slice nothing yet."""
    return before_latents(weights, x) if weights.latents.count == 1 else x.new_zeros(len(x), weights.d_out)


def _penalised(
    weights: TrainableWeights,
    x: Tensor,
    y: Tensor,
    written: Tensor,
    penalty: Tensor,
    below: Tensor | None,
    active: list[Tensor],
    state: LossState,
) -> LossOutput:
    config, latents = weights.config, weights.latents
    penalty = sum_over_slices(penalty, latents)
    below = None if below is None else sum_over_slices(below, latents)
    if latents.count > 1:
        written = sum_over_slices(written, latents) + before_latents(weights, x)
    residual = y - written
    terms = {"reconstruction": residual.square().sum() / len(y)}
    terms["sparsity"] = (config.sparsity or 0.0) * state.ramp * penalty
    if config.method == "jumprelu" and below is not None:
        terms["preact"] = config.preact * below
    terms |= _delta(weights, residual, 1.0)
    return LossOutput(terms, residual.detach(), active, [x.new_zeros(())] * len(active))


def before_latents(weights: TrainableWeights, x: Tensor) -> Tensor:
    """What is written before any latent: the bias, and the linear path."""
    start = weights.b_dec.expand(len(x), -1)
    for coder in weights.coders():
        if coder.W_skip is not None:
            start = start + placed(x[:, coder.inputs] @ coder.W_skip, coder.outputs, weights.d_out)
    return start


def placed(rows: Tensor, outputs: slice, d_out: int) -> Tensor:
    """Rows of some columns among zeros of the others."""
    if rows.shape[1] == d_out:
        return rows
    return functional.pad(rows, (outputs.start, d_out - outputs.stop))


def _grouped(code: SparseCode, W_dec: Tensor, ends: Sequence[int]) -> Iterator[tuple[SparseCode, Tensor]]:
    """What each nested reconstruction adds to the one before: its part of the code, and its decoder rows."""
    starts = (0, *ends[:-1])
    rows = W_dec.split([end - start for start, end in zip(starts, ends, strict=True)])
    for start, end, own in zip(starts, ends, rows, strict=True):
        yield code.of_latents(start, end), own


def _own_ends(weights: TrainableWeights, coder: TrainableCoder) -> list[int]:
    """Where the nested groups end among the latents that this process holds."""
    rows = coder.rows
    return [min(max(end, rows.start), rows.stop) - rows.start for end in weights.config.group_ends]


def _counts(code: SparseCode) -> Tensor:
    return count_each(code.indices, code.n_latents)

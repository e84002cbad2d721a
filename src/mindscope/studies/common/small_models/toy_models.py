"""Toy models of superposition (Elhage et al. 2022), hundreds of them trained at once by one optimiser.

A model keeps n features in m hidden dimensions: h = W x, x' = ReLU(W^T h + b), and its loss is L = mean over
samples of sum_i I_i (x_i - x'_i)^2. Models that are alike in n and m lie along the first axis of every
tensor. Nothing mixes models, and AdamW works number by number, so that training a stack gives every model
what it would have become alone; a loop over single models spends its time between small operations.

One step, with the axes models x features x samples (samples last, so that small n and m cost little):

1. h = W x, pre = W^T h + b, x' = ReLU(pre).
2. g = dL/dpre = 2 I (x' - x) / samples, where x' > 0; of a linear model everywhere.
3. dW = h g^T + (W g) x^T, because W is used twice; db = sum of g over samples.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.studies.common.small_models.toy_training import ToyTraining

Sampler = Callable[[int], Float[Tensor, "models features samples"]]
"""Called with the number of the step; hands out the samples of every model."""


@dataclass(frozen=True, eq=False)
class ToyGradients:
    """The loss of every model and its gradients."""

    loss: Float[Tensor, "models"]
    W: Float[Tensor, "models hidden features"]
    b: Float[Tensor, "models features"]


@dataclass(eq=False)
class ToyModels:
    """A stack of toy models.

    Attributes:
        W: what embeds the features; column i is the direction of feature i.
        b: what is added before the ReLU.
        linear: whether the ReLU is left out.
    """

    W: Float[Tensor, "models hidden features"]
    b: Float[Tensor, "models features"]
    linear: bool = False

    @classmethod
    def draw(
        cls, n_models: int, hidden: int, features: int, *, seed: int = 0, linear: bool = False
    ) -> "ToyModels":
        """Models with Xavier-normal weights and biases of zero."""
        generator = torch.Generator().manual_seed(seed)
        W = torch.randn(n_models, hidden, features, generator=generator) * math.sqrt(2 / (hidden + features))
        return cls(W, torch.zeros(n_models, features), linear)

    def __len__(self) -> int:
        return len(self.W)

    def take(self, models: Int[Tensor, "taken"]) -> "ToyModels":
        """Some of them, by their numbers."""
        return ToyModels(self.W[models], self.b[models], self.linear)

    def reconstruct(
        self, x: Float[Tensor, "models features samples"]
    ) -> Float[Tensor, "models features samples"]:
        """What the models make of samples."""
        pre = torch.baddbmm(self.b[:, :, None], self.W.mT, self.W @ x)
        return pre if self.linear else pre.relu_()

    def losses(
        self,
        x: Float[Tensor, "models features samples"],
        importance: Float[Tensor, "#models features"],
        weights: Float[Tensor, "models samples"] | None = None,
    ) -> Float[Tensor, "models"]:
        """The loss of every model on its samples, all alike or with weights."""
        return (_mean((self.reconstruct(x) - x).square_(), weights) * importance).sum(1)

    def gradients(
        self,
        x: Float[Tensor, "models features samples"],
        importance: Float[Tensor, "#models features"],
        weights: Float[Tensor, "models samples"] | None = None,
    ) -> ToyGradients:
        """The loss and its gradients, by the steps above; exact, and several times faster than autograd."""
        h = self.W @ x
        out = torch.baddbmm(self.b[:, :, None], self.W.mT, h)
        if not self.linear:
            out.relu_()
        error = out - x
        loss = (_mean(error.square(), weights) * importance).sum(1)
        if not self.linear:
            error.mul_(out.sign_())  # 1 where the ReLU is open, else 0
        g = error.mul_((2 * importance)[:, :, None])
        g = g.div_(x.shape[2]) if weights is None else g.mul_(weights[:, None])
        return ToyGradients(loss, h @ g.mT + (self.W @ g) @ x.mT, g.sum(2))


def train_models(
    models: ToyModels,
    sample: Sampler,
    importance: Float[Tensor, "#models features"],
    training: ToyTraining,
    *,
    weights: Float[Tensor, "models samples"] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Float[Tensor, "models"]:
    """Train all models in place, each on its own samples.

    Args:
        models: changed in place.
        sample: hands out the samples of a step, `[models, features, samples]`.
        importance: I_i, of every model or of all alike.
        training: how.
        weights: of the samples, the same in every step; by default they count alike.
        progress: called with (steps done, in all).

    Returns:
        The loss of every model, a mean over the last tenth of the steps.
    """
    optimiser = torch.optim.AdamW(
        [models.W, models.b], lr=training.learning_rate, weight_decay=training.weight_decay, fused=True
    )
    last = max(1, training.steps // 10)
    total = torch.zeros(len(models), dtype=torch.float64)
    for step in range(training.steps):
        gradients = models.gradients(sample(step), importance, weights)
        models.W.grad, models.b.grad = gradients.W, gradients.b
        for group in optimiser.param_groups:
            group["lr"] = training.rate(step)
        optimiser.step()
        if step >= training.steps - last:
            total += gradients.loss
        progress(step + 1, training.steps)
    models.W.grad = models.b.grad = None
    return (total / last).float()


def sparse_uniform(
    density: Float[Tensor, "draws variants"], features: int, samples: int, seed: int, *, signed: bool = False
) -> Sampler:
    """Features that are zero with probability 1 - density and else uniform, of every model.

    One uniform number u decides both: below the density it is an active feature's value, 1 - u / density.
    Models that differ in density or importance alone (the variants of a draw) see the same numbers, draws see
    independent ones. Models are numbered draw by draw.

    Args:
        density: 1 - S of each variant of each draw.
        features: how many.
        samples: of a step.
        seed: of all draws.
        signed: uniform in [-1, 1] and not in [0, 1].
    """
    scale = (1 / density)[:, :, None, None]

    def sample(step: int) -> Float[Tensor, "models features samples"]:
        u = draw_uniform((len(density), 1, features, samples), seed, step)
        if signed:
            return ((1 - 2 * u * scale) * (u * scale < 1)).flatten(0, 1)
        return torch.addcmul(torch.ones(()), u, scale, value=-1).clamp_(min=0).flatten(0, 1)

    return sample


def patterned_uniform(
    density: Float[Tensor, "draws variants"], features: int, each: int, seed: int
) -> tuple[Sampler, Float[Tensor, "models samples"]]:
    """The same features by patterns of activity, `each` samples of every one of 2^n, and their weights.

    A sample with k of n features active weighs p^k (1 - p)^(n - k) / each. The expected loss is that of
    :func:`sparse_uniform`, without the noise of how often sparse features coincide; for a handful of
    features.
    """
    active = torch.tensor(list(itertools.product((0.0, 1.0), repeat=features))).T.repeat_interleave(each, 1)
    on = active.sum(0)
    p = density.flatten()[:, None]
    weights = p**on * (1 - p) ** (features - on) / each

    def sample(step: int) -> Float[Tensor, "models features samples"]:
        values = draw_uniform((len(density), 1, features, len(on)), seed, step) * active
        return values.expand(-1, density.shape[1], -1, -1).flatten(0, 1)

    return sample, weights


def draw_uniform(shape: tuple[int, ...], seed: int, step: int) -> Tensor:
    """Uniform numbers of a step, the same wherever training begins."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed * 1_000_003 + step))


def _mean(
    values: Float[Tensor, "models features samples"], weights: Float[Tensor, "models samples"] | None
) -> Float[Tensor, "models features"]:
    return values.mean(2) if weights is None else (values @ weights[:, :, None])[:, :, 0]


def feature_dimensionality(
    W: Float[Tensor, "models hidden features"],
) -> Float[Tensor, "models features"]:
    """D_i = |W_i|^2 / sum_j (w_i . W_j)^2, with w_i the unit vector of W_i: the share of a dimension that it
    has.

    Features that are not represented (a norm of zero) have 0. Of hidden vectors h = W x in place of W it is
    the dimensionality of data points (Henighan et al. 2023).
    """
    squared = W.square().sum(1)
    shared = (W.mT @ W).square().sum(2)  # |W_i|^2 times the denominator
    return torch.where(squared > 0, squared.square() / shared.clamp(min=1e-30), 0)

"""Computing in superposition: the absolute value of more features than neurons allow one by one.

h = ReLU(W_1 x), y' = ReLU(W_2 h + b), with y = |x|. Without superposition a feature takes two neurons,
because |x| = ReLU(x) + ReLU(-x).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.studies.common import PieceProgress, as_rows, draw_uniform, sparse_uniform
from mindscope.studies.superposition.config import SuperpositionConfig
from mindscope.studies.superposition.measure import OFFSET
from mindscope.studies.superposition.results import ComputedFeatures

FEATURES, NEURONS, DECAY = 100, 40, 0.8
"""n, m, and I_i = 0.8^i of the paper."""
HELD = 32_768
"""Samples that tell a feature's error; of one active in 0.3 % of them a hundred are left."""
COMPUTED = 0.5
"""A feature counts as computed if both where it is positive and where it is negative less than this share of
the best constant's error is left. With one side alone, |x| is not computed but ReLU(x) copied, which needs no
neuron with a ReLU."""
SMALL = 0.2
"""Of the usual scale are the weights out of the neurons when training begins."""
SECOND = 0.2
"""Above this share of its strongest feature a neuron is said to carry another one. The paper judges by
eye."""
DEAD = 1e-3
"""A neuron that carries less of every feature is left out."""


class AbsoluteModels:
    """A stack of models with one hidden layer.

    They begin where nothing is shut for good: small positive weights out of the neurons, and biases at the
    mean of the outputs, which are positive too. From weights of either sign half of all features are learnt
    on one side of zero alone, with an output that is shut on the other and so has no gradient.

    Attributes:
        W_in: `[models, neurons, features]`.
        W_out: `[models, features, neurons]`.
        b: `[models, features]`.
        linear: whether the neurons have no ReLU.
    """

    def __init__(self, density: Float[Tensor, "models"], seed: int, *, linear: bool) -> None:
        n_models = len(density)
        generator = torch.Generator().manual_seed(seed)
        scale = math.sqrt(2 / (FEATURES + NEURONS))
        self.W_in = torch.randn(n_models, NEURONS, FEATURES, generator=generator) * scale
        self.W_out = torch.randn(n_models, FEATURES, NEURONS, generator=generator).abs() * (SMALL * scale)
        self.b = (density / 2)[:, None].repeat(1, FEATURES)
        self.linear = linear
        for part in self.parameters():
            part.requires_grad_()

    def parameters(self) -> list[Tensor]:
        """All weights."""
        return [self.W_in, self.W_out, self.b]

    def compute(
        self, x: Float[Tensor, "models features samples"]
    ) -> Float[Tensor, "models features samples"]:
        """Y'."""
        h = self.W_in @ x
        return torch.baddbmm(self.b[:, :, None], self.W_out, h if self.linear else h.relu()).relu()


def measure_computing(config: SuperpositionConfig, seed: int, progress: PieceProgress) -> ComputedFeatures:
    """Train models of every density, with and without a ReLU in their neurons."""
    densities = config.computing_densities
    density = torch.tensor(densities).expand(config.computing_seeds, -1)
    importance = DECAY ** torch.arange(FEATURES, dtype=torch.float32)[None, :, None]
    training = config.computing
    stacks = []
    for number, linear in enumerate((True, False)):
        models = AbsoluteModels(density.flatten(), seed + OFFSET, linear=linear)
        optimiser = torch.optim.AdamW(models.parameters(), weight_decay=training.weight_decay, fused=True)
        sample = sparse_uniform(density, FEATURES, training.samples, seed, signed=True)
        for step in range(training.steps):
            x = sample(step)
            loss = ((models.compute(x) - x.abs()).square() * importance).sum() / x.shape[2]
            optimiser.zero_grad()
            loss.backward()
            for group in optimiser.param_groups:
                group["lr"] = training.rate(step)
            optimiser.step()
            progress(number * training.steps + step + 1, 2 * training.steps)
        stacks.append(models)
    plain, models = stacks
    # neurons x features, for every model: what a neuron carries of a feature, from its input to its output
    carried = (models.W_in * models.W_out.mT).detach().abs()
    strongest = carried.amax(2, keepdim=True)
    several = ((carried > SECOND * strongest).sum(2) > 1) & (strongest[:, :, 0] > DEAD)
    share = several.sum(1) / (strongest[:, :, 0] > DEAD).sum(1).clamp(min=1)
    return ComputedFeatures(
        features=FEATURES,
        hidden=NEURONS,
        densities=densities,
        computed=as_rows(_count_computed(models, density, seed + 2 * OFFSET)),
        computed_linear=as_rows(_count_computed(plain, density, seed + 2 * OFFSET)),
        polysemantic=as_rows(share.unflatten(0, density.shape).T),
        neurons=tuple(as_rows(part) for part in carried[: len(densities)]),
    )


@torch.no_grad()
def _count_computed(
    models: AbsoluteModels, density: Float[Tensor, "seeds densities"], seed: int
) -> Float[Tensor, "densities seeds"]:
    """How many features are computed, on samples of the model's own density."""
    u = draw_uniform((FEATURES, HELD), seed, 0)
    counts = []
    for number, p in enumerate(density.flatten()):
        x = (1 - 2 * u / p) * (u < p)
        one = slice(number, number + 1)
        h = models.W_in[one] @ x
        pre = torch.baddbmm(models.b[one, :, None], models.W_out[one], h if models.linear else h.relu())
        missed = (pre[0].relu() - x.abs()).square()
        constant = (x.abs() - p / 2).square()  # the best constant is the mean
        sides = [(missed * side).sum(1) < COMPUTED * (constant * side).sum(1) for side in ((x > 0), (x < 0))]
        counts.append((sides[0] & sides[1]).sum())
    return torch.stack(counts).float().view(density.shape).T

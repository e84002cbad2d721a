"""Bootstrap intervals of means: units drawn with replacement."""

import torch
from jaxtyping import Float
from torch import Tensor


def bootstrap_interval(
    values: Float[Tensor, "units"], *, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile interval of the mean when the units are drawn with replacement."""
    low, high = bootstrap_intervals(values[:, None], resamples=resamples, seed=seed)[:, 0].tolist()
    return low, high


def bootstrap_intervals(
    values: Float[Tensor, "units columns"], *, resamples: int = 2000, seed: int = 0
) -> Float[Tensor, "2 columns"]:
    """The same for every column, with the same draws of units in all: low ends, then high ends."""
    means = bootstrap_weights(len(values), resamples, seed) @ values.double()
    return means.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64), dim=0)


def bootstrap_weights(n_units: int, resamples: int, seed: int) -> Float[Tensor, "resamples units"]:
    """How often each unit is drawn, over the number of draws: a mean is then one matrix product."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(n_units, (resamples, n_units), generator=generator)
    counts = torch.zeros(resamples, n_units, dtype=torch.float64)
    return counts.scatter_add_(1, drawn, torch.ones_like(counts)) / n_units

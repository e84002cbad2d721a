"""A mean over prompts with its interval, which every step of the comparison reports."""

import numpy as np
import torch

from mindscope.diffing.config import DiffConfig
from mindscope.stats import Estimate, bootstrap_interval


def estimate(values: np.ndarray, config: DiffConfig) -> Estimate:
    """The mean and the 95 % interval of drawing the units (prompts) again with replacement."""
    numbers = np.asarray(values, np.float64)
    low, high = bootstrap_interval(torch.from_numpy(numbers), resamples=config.resamples, seed=config.seed)
    return Estimate(mean=float(numbers.mean()), low=low, high=high)

"""Random directions beside a feature: what any direction of the same place would have shown."""

import torch

from mindscope.features.direction import Direction
from mindscope.store import derived_seed

N_RANDOM = 200
"""The place of a feature among so many is known to a quarter of a percentile point at the ends, and to 3.5
points in the middle."""


def random_directions(like: Direction, n_directions: int = N_RANDOM, seed: int = 0) -> tuple[Direction, ...]:
    """Directions of a direction's norm at its address, drawn evenly from all; the same for the same seed.

    A projection is on the unit vector, so that the norm matters only where they steer.
    """
    norm, width = float(like.vector.double().norm()), len(like.vector)
    drawn: list[Direction] = []
    for index in range(n_directions):
        generator = torch.Generator().manual_seed(derived_seed(seed, "random", like.address, index))
        noise = torch.randn(width, generator=generator, dtype=torch.float64)
        vector = (noise * (norm / noise.norm())).float()
        drawn.append(Direction(f"random {index}", like.address, vector, like.fingerprint))
    return tuple(drawn)

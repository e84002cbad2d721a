"""Where neurons of all seeds fire, and where a rotation of them does.

Neurons are read before an extra LayerNorm, as in the paper. The control is a random rotation of them: as much
information in directions that no activation function knows of. They are brought to one variance for it, else
every direction is about the few loudest neurons. Their rules are those of `common/firing_rules.py`.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.studies.common import StrongFirings, TinyTransformers, read_neurons

ROWS_AT_ONCE = 64


def draw_rotations(
    before: Float[Tensor, "seeds rows tokens neurons"], seed: int
) -> Float[Tensor, "seeds neurons neurons"]:
    """A random rotation of neurons that are brought to one variance; by seed, since variances differ."""
    n_neurons = before.shape[-1]
    drawn = torch.randn(n_neurons, n_neurons, generator=torch.Generator().manual_seed(seed))
    spreads = before.flatten(1, 2).std(1).clamp(min=1e-12)
    return torch.linalg.qr(drawn).Q / spreads[..., None]


def find_firings(
    models: TinyTransformers, ids: Int[Tensor, "rows tokens"], turns: Float[Tensor, "seeds neurons neurons"]
) -> tuple[list[StrongFirings], list[StrongFirings]]:
    """By seed the firings of the neurons, and of their rotation."""
    parts: tuple[list[tuple[Tensor, Tensor]], ...] = ([], [])
    for chunk in ids.split(ROWS_AT_ONCE):
        before = read_neurons(models, chunk).before[:, :, :-1]
        for part, view in zip(parts, (before, before @ turns[:, None]), strict=True):
            highest = view.max(2)
            part.append((highest.values, highest.indices))
    views = []
    for part in parts:
        values, places = (torch.cat(side, 1) for side in zip(*part, strict=True))
        views.append([StrongFirings(ids, *own) for own in zip(values, places, strict=True)])
    return views[0], views[1]

"""What small activations do, before an extra LayerNorm and behind it.

LayerNorm scales a token's activations by one number, and so the tokens on which no neuron fires strongly are
scaled up most. The paper calls this smuggling: features that lie across neurons get through as activations
that are small beside what the same neurons do elsewhere. An activation is small under a tenth of the highest
of its neuron. With a the activations and W the output weights, a = small + large, and

    share = sum |W small|^2 / (sum |W small|^2 + sum |W large|^2)

over tokens. With a LayerNorm both parts are centred over the neurons, and behind it both are divided by the
token's standard deviation, so that the difference of the two shares is what the scaling does.
"""

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mindscope.studies.common import NeuronReading, TinyTransformers
from mindscope.studies.solu.paper import LEVELS, SMALL
from mindscope.studies.solu.results import LevelShares, SmallActivations

LEAST = 5
"""A neuron with fewer firings at a level, before LayerNorm or behind it, says nothing of that level."""


@dataclass(frozen=True)
class SmallParts:
    """Which activations are small on the rows that were read.

    Attributes:
        limits: of each neuron, under which its activations are small; either sign.
    """

    reading: NeuronReading
    limits: Float[Tensor, "seeds 1 1 neurons"]

    @classmethod
    def of(cls, reading: NeuronReading) -> "SmallParts":
        """By the highest activation on these rows."""
        return cls(reading, SMALL * reading.before.abs().amax((1, 2), keepdim=True))


@torch.no_grad()
def measure_small(
    models: TinyTransformers, ids: Int[Tensor, "rows tokens"], parts: SmallParts
) -> SmallActivations:
    """Shares of the output, and what the loss rises by without small activations, by seed."""
    normed, n_layers = models.config.normed, models.config.layers
    weights = torch.stack([layer["down"] for layer in models.layers])
    small = parts.reading.before.abs() < parts.limits
    shares: list[Tensor] = []
    for behind in (False, True):
        energies = torch.zeros(2, models.config.seeds)
        for number, own in enumerate(parts.reading.before.chunk(n_layers, -1)):
            is_small = small.chunk(n_layers, -1)[number]
            for side, part in enumerate((own * is_small, own * ~is_small)):
                handed = hand_on(part, own, normed=normed, scaled=behind)
                energies[side] += (handed @ weights[number][:, None]).square().sum((1, 2, 3))
        shares.append(energies[0] / energies.sum(0))
    every = ids.expand(models.config.seeds, -1, -1)
    limits = parts.limits.chunk(n_layers, -1)

    def without(number: int, neurons: Tensor, handed: Tensor) -> Tensor:
        kept = neurons * (neurons.abs() >= limits[number])
        return hand_on(kept, neurons, normed=normed, scaled=True)

    cost = models.losses(every, edit=without).mean((1, 2)) - models.losses(every).mean((1, 2))
    return SmallActivations(
        count=_numbers(small.float().mean((1, 2, 3))),
        before=_numbers(shares[0]),
        behind=_numbers(shares[1]),
        cost=_numbers(cost),
    )


def hand_on(
    part: Float[Tensor, "*tokens neurons"],
    whole: Float[Tensor, "*tokens neurons"],
    *,
    normed: bool,
    scaled: bool,
) -> Float[Tensor, "*tokens neurons"]:
    """A part of the activations as it reaches the output weights; parts that sum to the whole do so here.

    Args:
        part: of the activations, the others 0.
        whole: all of them.
        normed: whether a LayerNorm stands between.
        scaled: whether it divides too, by the standard deviation of the whole; else it only centres.
    """
    if not normed:
        return part
    centred = part - part.mean(-1, keepdim=True)
    return centred / whole.std(-1, correction=0, keepdim=True) if scaled else centred


def measure_levels(
    reading: NeuronReading,
    seed: int,
    matches: Bool[Tensor, "rows places neurons"],
    interpretable: Bool[Tensor, "neurons"],
) -> LevelShares:
    """How much of an interpretable neuron's firings of each strength its rule explains; a mean over those
    that have some before LayerNorm and behind it.
    """
    said = matches.flatten(0, 1)[:, interpretable]
    sides = []
    for values in (reading.before[seed, :, :-1], reading.behind[seed, :, :-1]):
        own = values.flatten(0, 1)[:, interpretable]
        sides.append(own / own.amax(0).clamp(min=1e-30))
    rows: tuple[list[float | None], list[float | None]] = ([], [])
    for low, high in itertools.pairwise(LEVELS):
        inside = [(side > low) & (side <= high) for side in sides]
        enough = torch.stack([part.sum(0) >= LEAST for part in inside]).all(0)
        for row, part in zip(rows, inside, strict=True):
            shares = (part & said)[:, enough].sum(0) / part[:, enough].sum(0)
            row.append(round(float(shares.mean()), 5) if len(shares) else None)
    return LevelShares(before=tuple(rows[0]), behind=tuple(rows[1]), neurons=int(interpretable.sum()))


def _numbers(values: Tensor) -> tuple[float, ...]:
    return tuple(round(float(value), 5) for value in values)

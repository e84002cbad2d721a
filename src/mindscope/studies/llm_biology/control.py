"""What an exchange is compared with: random features that change the residual stream by as much.

1. Of each change of an exchange, the amount d by which it changes its feature's activation a, as a is in the
   prompt: v - a where it is set to v, (f - 1) a where it is multiplied by f.
2. At each place the exchange adds the sum of d times what a unit of the feature writes, over all layers it
   writes; the norm of that sum is the exchange's size there.
3. In place of each feature that changes, another is drawn among those that are active at that place in that
   prompt and that the exchange leaves alone: of its layer as long as there are any, else of another.
   Features drawn from all that are ever active would be off in this prompt, and turning them off is nothing.
4. Each stranger changes by d times the ratio of the norms of what the two write, with d's sign.
5. All strangers at a place are scaled so that their sum there is as long as the exchange's.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.circuits import Intervention
from mindscope.studies.llm_biology.prompts import CasePrompt

TINY = 1e-6
"""A sum of writes shorter than this has no direction to speak of."""


@dataclass(frozen=True, eq=False)
class MatchedControl:
    """Random features for the exchange in one prompt.

    Attributes:
        changes: of the random features.
        size: how far the exchange moves the residual stream: the norm over all its places.
        control_size: the same of the random features; less only where a place has no other active feature.
    """

    changes: list[Intervention]
    size: float
    control_size: float


@dataclass(frozen=True, eq=False)
class StreamWrites:
    """What features write.

    Attributes:
        rows: `[features, d_model]`, what a unit of each adds to the residual stream, all layers together;
            features of all layers lie side by side.
        sizes: how many features each layer has.
    """

    rows: Float[Tensor, "features d_model"]
    sizes: tuple[int, ...]

    def column(self, layer: int, latent: int) -> int:
        """The place of a feature among those of all layers."""
        return sum(self.sizes[:layer]) + latent

    def feature(self, column: int) -> tuple[int, int]:
        """Layer and latent of a feature by its place among all."""
        layer = 0
        while column >= self.sizes[layer]:
            column -= self.sizes[layer]
            layer += 1
        return layer, column


def match_control(
    prompt: CasePrompt,
    codes: Float[Tensor, "spots features"],
    exchange: Sequence[Intervention],
    writes: StreamWrites,
    rng: random.Random,
) -> MatchedControl:
    """Random features in place of those of an exchange.

    Args:
        prompt: where.
        codes: activations at its spots, without any change.
        exchange: what is to be matched.
        writes: of all features.
        rng: draws them.
    """
    changes: list[Intervention] = []
    squares = [0.0, 0.0]
    for spot, amounts in _amounts_by_spot(prompt, codes, exchange, writes).items():
        size = _written(amounts, writes)
        drawn = _draw(amounts, codes[spot], writes, rng)
        length = _written(drawn, writes)
        squares[0] += size**2
        if length < TINY:
            continue
        squares[1] += size**2
        for column, amount in drawn.items():
            layer, latent = writes.feature(column)
            change = Intervention(layer, prompt.spots[spot], latent, "add", amount * size / length)
            changes.append(change)
    return MatchedControl(changes, squares[0] ** 0.5, squares[1] ** 0.5)


def _amounts_by_spot(
    prompt: CasePrompt,
    codes: Float[Tensor, "spots features"],
    exchange: Sequence[Intervention],
    writes: StreamWrites,
) -> dict[int, dict[int, float]]:
    """Step 1: by spot, and by the feature's place among all, how much its activation changes."""
    amounts: dict[int, dict[int, float]] = defaultdict(dict)
    for change in exchange:
        spot = prompt.spots.index(change.position)  # pyright: ignore[reportArgumentType]
        column = writes.column(change.layer, change.latent)
        active = float(codes[spot, column])
        amounts[spot][column] = change.value - active if change.op == "set" else (change.value - 1) * active
    return amounts


def _draw(
    amounts: dict[int, float], active: Float[Tensor, "features"], writes: StreamWrites, rng: random.Random
) -> dict[int, float]:
    """Steps 3 and 4, at one place."""
    free: dict[int, list[int]] = defaultdict(list)
    for column in (active > 0).nonzero().flatten().tolist():
        if column not in amounts:
            free[writes.feature(column)[0]].append(column)
    for columns in free.values():
        rng.shuffle(columns)
    drawn: dict[int, float] = {}
    norms = writes.rows.norm(dim=1)
    for column, amount in amounts.items():
        layer = writes.feature(column)[0]
        columns = free[layer] or max(free.values(), key=len, default=[])
        if not amount or not columns:
            continue
        stranger = columns.pop()
        drawn[stranger] = amount * float(norms[column] / norms[stranger])
    return drawn


def _written(amounts: dict[int, float], writes: StreamWrites) -> float:
    """Step 2: the norm of what these changes add up to."""
    if not amounts:
        return 0.0
    values = torch.tensor(list(amounts.values()), dtype=writes.rows.dtype)
    return float((values @ writes.rows[list(amounts)]).norm())

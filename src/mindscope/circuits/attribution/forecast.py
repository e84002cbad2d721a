"""What tracing a graph will take: operations by layer and position of its rows, and the pace of the first.

A row is carried down through every layer below it, at the tokens up to its own: two maps of attention, half
a pattern, and a product with every source that it can reach.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.circuits.index_spaces import BlockRow
from mindscope.circuits.replacement.local_model import LocalReplacementModel
from mindscope.core import Clock

TRACED_TWICE = 1.1
"""Rows that are traced for each that is chosen: exact choices take some back, 2 to 20 % on random models and
on the organism."""


@dataclass(frozen=True, slots=True)
class TraceForecast:
    """What a graph is going to take.

    Attributes:
        rows: that will be traced.
        seconds: from now on.
        row_bytes: of all rows, most of which lie on disk where they are many.
        graph_bytes: of the graph's edges.
    """

    rows: int
    seconds: float
    row_bytes: int
    graph_bytes: int


def count_row_operations(
    layers: Int[Tensor, "rows"],
    tokens: Int[Tensor, "rows"],
    sources: Float[Tensor, "rows"],
    sizes: tuple[int, int, int],
) -> Float[Tensor, "rows"]:
    """Operations of rows, each product counting twice.

    Args:
        layers: how many layers' attention each row passes.
        tokens: how many tokens it can reach.
        sources: how many features it can reach.
        sizes: the model's width, the width of all heads, and that of all value heads.
    """
    d_model, mixed, values = sizes
    tokens = tokens.double()
    maps = 2.0 * tokens * d_model * (mixed + values)
    return layers * (maps + tokens.square() * mixed) + 2.0 * d_model * (sources + layers * tokens)


@dataclass
class PaceWatch:
    """Times the first block of rows, and says how long the others take.

    The first block holds the rows at the last positions, which cost most; operations carry its pace over to
    the others. Small blocks cost more by the operation, so that short prompts take somewhat longer.

    Attributes:
        local_model: what is traced.
        layers, positions: of all rows that the first ranking names.
        n_targets: rows of targets.
        on_forecast: is told.
        clock: tells the time.
    """

    local_model: LocalReplacementModel
    layers: Int[Tensor, "rows"]
    positions: Int[Tensor, "rows"]
    n_targets: int
    on_forecast: Callable[[TraceForecast], None]
    clock: Clock = time.perf_counter
    _began: float = field(init=False)
    _is_said: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def take(self, block: BlockRow) -> None:
        """Hear that a block of these rows is traced."""
        if self._is_said:
            return
        self._is_said = True
        spent = self.clock() - self._began
        model, n_rows = self.local_model, len(self.positions)
        reach = torch.bincount(model.features[:, 1], minlength=model.n_positions).cumsum(0)
        columns = reach[self.positions]
        share = (self.layers + 1) / model.n_layers
        block0 = model.blocks[0]
        sizes = model.embeddings.shape[1], len(block0.output), len(block0.value)
        # The pattern is made again for each block of rows, which is a row more or two.
        operations = count_row_operations(self.layers + 1, self.positions + 1, columns * share, sizes)
        own, whole = float(operations[block].sum()), float(operations.sum())
        rows = round(n_rows * TRACED_TWICE)
        n_columns = n_rows + (model.n_layers + 1) * model.n_positions
        self.on_forecast(
            TraceForecast(
                rows=rows,
                seconds=spent * (whole * TRACED_TWICE / max(own, 1.0) - 1),
                row_bytes=round(4 * TRACED_TWICE * float(columns.double().sum())),
                graph_bytes=4 * (n_rows + self.n_targets) * n_columns,
            )
        )

"""What is to happen to features, on which tokens, and which entries of a forward pass that means."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import DataError
from mindscope.models import WHERES, BatchLayout, Row, Where, position_mask

Op = Literal["set", "scale", "add"]
OPS: tuple[Op, ...] = get_args(Op)
Position = int | slice | tuple[int, ...] | Where
OPEN_END = sys.maxsize
"""Where a span ends that goes on into every token to come."""


@dataclass(frozen=True, slots=True)
class Intervention:
    """One change of one feature's activation a.

    Attributes:
        layer: of the feature, counted from 0.
        position: the tokens meant. A number, several, `slice(9, None)` (from token 9 on, generated ones too),
            or a name as edits have it: "all", "prompt", "last_prompt", "answer", "response".
        latent: of the feature, counted within its layer.
        op: `set`: a becomes value. `scale`: a becomes value * a. `add`: a becomes a + value.
        value: 0 with `set` or `scale` is an ablation.

    Raises:
        DataError: an unknown operation, a value that is no finite number, or positions that name no tokens.
    """

    layer: int
    position: Position
    latent: int
    op: Op = "set"
    value: float = 0.0

    def __post_init__(self) -> None:
        if self.op not in OPS:
            raise DataError(f"unknown operation {self.op!r} on a feature: use one of {', '.join(OPS)}")
        if not np.isfinite(self.value):
            raise DataError(f"{self.name} is to be changed by {self.value}: give a finite number")
        if self.layer < 0 or self.latent < 0:
            raise DataError(f"{self.name} does not exist: layers and features count from 0")
        if not self._names_tokens():
            raise DataError(
                f"{self.position!r} is no position of {self.name}: give numbers from 0, slice(start, stop) "
                f"or one of {', '.join(WHERES)}"
            )

    @property
    def name(self) -> str:
        """How messages call the feature."""
        return f"feature {self.latent} of layer {self.layer}"

    def spans(self, row: Row) -> Iterator[tuple[int, int]]:
        """The tokens meant in a row, as [start, stop) in its positions; `ON` is no end.

        Raises:
            DataError: a token that the row does not have.
        """
        match self.position:
            case slice(start=start, stop=stop):
                yield start or 0, OPEN_END if stop is None else stop
            case int() | tuple():
                for position in (self.position,) if isinstance(self.position, int) else self.position:
                    if position >= len(row):
                        raise DataError(
                            f"{self.name} is to be changed at position {position}: the prompt has 0 to "
                            f"{len(row) - 1}"
                        )
                    yield position, position + 1
            case "all":
                yield 0, OPEN_END
            case "answer" | "response":
                yield max(0, row.prompt_length - (self.position == "response")), OPEN_END
            case str() as where:
                found = np.flatnonzero(
                    position_mask(where, np.arange(len(row))[None], np.array([row.prompt_length]))[0]
                )
                if len(found):
                    yield int(found[0]), int(found[-1]) + 1

    def _names_tokens(self) -> bool:
        match self.position:
            case slice(start=start, stop=stop, step=step):
                low = 0 if start is None else start
                return step in (None, 1) and low >= 0 and (stop is None or stop > low)
            case tuple():
                return bool(self.position) and all(type(at) is int and at >= 0 for at in self.position)
            case str():
                return self.position in WHERES
            case _:
                return type(self.position) is int and self.position >= 0


@dataclass(frozen=True, slots=True, eq=False)
class InterventionHits:
    """The entries of a forward pass that one layer's features are changed at.

    Attributes:
        lines, columns: `[hits]`, where in the batch.
        latents: `[hits]`, the place of each one's feature in `InterventionPlan.latents(layer)`.
        entries: `[hits]`, which entry of the plan each is.
    """

    batch_rows: Tensor
    batch_columns: Tensor
    latents: Tensor
    entries: Tensor


@dataclass(slots=True, eq=False)
class InterventionPlan:
    """The interventions of all rows, told apart by layer, as arrays: every pass asks which of them it meets.

    An entry is one feature on one span of tokens of one row.
    """

    n_rows: int
    layer_of: np.ndarray
    row_of: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    latent_of: np.ndarray
    ops: Tensor
    """`[entries]`, the place of each operation in `OPS`."""
    values: Float[Tensor, "entries"]
    _latents: dict[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def compile(
        cls, rows: Sequence[Row], interventions: Sequence[Sequence[Intervention]]
    ) -> "InterventionPlan":
        """Compile one list of interventions a row.

        Raises:
            DataError: a position outside its row, or a feature that is changed twice on one token.
        """
        entries = [
            (one.layer, number, start, stop, one.latent, OPS.index(one.op), float(one.value))
            for number, (row, mine) in enumerate(zip(rows, interventions, strict=True))
            for one in mine
            for start, stop in one.spans(row)
        ]
        entries.sort(key=lambda entry: (entry[0], entry[1], entry[4], entry[2]))
        for one, after in pairwise(entries):
            if (one[0], one[1], one[4]) == (after[0], after[1], after[4]) and after[2] < one[3]:
                raise DataError(
                    f"feature {one[4]} of layer {one[0]} is changed twice at position {after[2]}: once is "
                    "enough"
                )
        layer, row, start, stop, latent, op, value = list(zip(*entries, strict=True)) or [()] * 7
        numbers = (np.array(column, np.int64) for column in (layer, row, start, stop, latent))
        return cls(len(rows), *numbers, ops=torch.tensor(op).long(), values=torch.tensor(value).float())

    @property
    def layers(self) -> list[int]:
        """The layers whose features are changed, in order."""
        return np.unique(self.layer_of).tolist()

    def latents(self, layer: int) -> Tensor:
        """The features of a layer that are changed anywhere, each once, in order."""
        return torch.from_numpy(self._changed_latents(layer))

    def hits(self, layout: BatchLayout) -> dict[int, InterventionHits]:
        """Which entries this pass meets, and where, by layer; layers without any are left out."""
        lines = np.full(self.n_rows, -1)
        lines[layout.whose(self.n_rows)] = np.arange(len(layout.positions))
        line_of = lines[self.row_of]
        positions = layout.positions[line_of]
        met = (positions >= self.start[:, None]) & (positions < self.stop[:, None]) & (line_of >= 0)[:, None]
        entry, column = met.nonzero()
        found = {}
        for layer in np.unique(self.layer_of[entry]).tolist():
            mine = self.layer_of[entry] == layer
            here = entry[mine]
            latents = np.searchsorted(self._changed_latents(layer), self.latent_of[here])
            arrays = (line_of[here], column[mine], latents, here)
            found[layer] = InterventionHits(*(torch.from_numpy(array) for array in arrays))
        return found

    def changes(self, hits: InterventionHits, activations: Float[Tensor, "hits"]) -> Float[Tensor, "hits"]:
        """By how much each activation is to change."""
        ops, values = self.ops[hits.entries], self.values[hits.entries].to(activations)
        ops = ops.to(activations.device)
        scaled, added = (values - 1) * activations, values
        return torch.where(ops == 0, values - activations, torch.where(ops == 1, scaled, added))

    def _changed_latents(self, layer: int) -> np.ndarray:
        if layer not in self._latents:
            self._latents[layer] = np.unique(self.latent_of[self.layer_of == layer])
        return self._latents[layer]

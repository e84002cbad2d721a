"""What is to happen to features, on which tokens, and which entries of a forward pass that means."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import DataError
from mindscope.models import WHERES, BatchLayout, Row, Where, row_mask

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
        DataError: an unknown operation, a value that is not a finite number, or positions that name no
            tokens.
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
                f"{self.position!r} is not a position of {self.name}: give numbers from 0, slice(start, "
                f"stop) or one of {', '.join(WHERES)}"
            )

    @property
    def name(self) -> str:
        """How messages call the feature."""
        return f"feature {self.latent} of layer {self.layer}"

    def spans(self, row: Row) -> Iterator[tuple[int, int]]:
        """The tokens meant in a row, as [start, stop) in its positions; `OPEN_END` stands for no end.

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
                # Generated tokens belong to the answer: the span is open.
                yield max(0, row.prompt_length - (self.position == "response")), OPEN_END
            case str() as where:
                mask = row_mask(where, row)
                positions = np.flatnonzero(mask)
                if len(positions):
                    yield int(positions[0]), int(positions[-1]) + 1

    def _names_tokens(self) -> bool:
        match self.position:
            case slice(start=start, stop=stop, step=step):
                low = 0 if start is None else start
                return step in (None, 1) and low >= 0 and (stop is None or stop > low)
            case tuple():
                return bool(self.position) and all(
                    type(position) is int and position >= 0 for position in self.position
                )
            case str():
                return self.position in WHERES
            case _:
                return type(self.position) is int and self.position >= 0


@dataclass(frozen=True, slots=True, eq=False)
class InterventionHits:
    """The entries of a forward pass that one layer's features are changed at.

    Attributes:
        batch_rows, batch_columns: `[hits]`, where in the batch.
        latents: `[hits]`, the place of each one's feature in `InterventionPlan.latents(layer)`.
        entries: `[hits]`, which entry of the plan each is.
    """

    batch_rows: Tensor
    batch_columns: Tensor
    latents: Tensor
    entries: Tensor


class _PlanEntry(NamedTuple):
    layer: int
    row: int
    latent: int
    start: int
    stop: int
    op: int
    value: float


@dataclass(slots=True, eq=False)
class InterventionPlan:
    """The interventions of all rows as arrays, an entry each: every pass asks which of them it meets.

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
            _PlanEntry(
                change.layer, number, change.latent, start, stop, OPS.index(change.op), float(change.value)
            )
            for number, (row, changes) in enumerate(zip(rows, interventions, strict=True))
            for change in changes
            for start, stop in change.spans(row)
        ]
        # Sorted so that spans of one feature in one row are neighbours, by their start.
        entries.sort(key=lambda entry: entry[:4])
        for entry, following in pairwise(entries):
            if entry[:3] == following[:3] and following.start < entry.stop:
                raise DataError(
                    f"feature {entry.latent} of layer {entry.layer} is changed twice at position "
                    f"{following.start}: once is enough"
                )
        layer, row, latent, start, stop, op, value = list(zip(*entries, strict=True)) or [()] * 7
        return cls(
            n_rows=len(rows),
            layer_of=np.array(layer, np.int64),
            row_of=np.array(row, np.int64),
            start=np.array(start, np.int64),
            stop=np.array(stop, np.int64),
            latent_of=np.array(latent, np.int64),
            ops=torch.tensor(op).long(),
            values=torch.tensor(value).float(),
        )

    @property
    def layers(self) -> list[int]:
        """The layers whose features are changed, in order."""
        return np.unique(self.layer_of).tolist()

    def latents(self, layer: int) -> Tensor:
        """The features of a layer that are changed anywhere, each once, in order."""
        return torch.from_numpy(self._changed_latents(layer))

    def hits(self, layout: BatchLayout) -> dict[int, InterventionHits]:
        """Which entries this pass meets, and where, by layer; layers without any are left out."""
        # Rows may have left the batch, and stand in another order: -1 for those that are gone.
        batch_rows = np.full(self.n_rows, -1)
        batch_rows[layout.whose(self.n_rows)] = np.arange(len(layout.positions))
        batch_row_of = batch_rows[self.row_of]
        # entries x columns of the batch: does the column's token lie in the entry's span?
        positions = layout.positions[batch_row_of]
        met = (positions >= self.start[:, None]) & (positions < self.stop[:, None])
        entry, column = (met & (batch_row_of >= 0)[:, None]).nonzero()
        hits = {}
        for layer in np.unique(self.layer_of[entry]).tolist():
            in_layer = self.layer_of[entry] == layer
            entries = entry[in_layer]
            latents = np.searchsorted(self._changed_latents(layer), self.latent_of[entries])
            arrays = (batch_row_of[entries], column[in_layer], latents, entries)
            hits[layer] = InterventionHits(*(torch.from_numpy(array) for array in arrays))
        return hits

    def changes(self, hits: InterventionHits, activations: Float[Tensor, "hits"]) -> Float[Tensor, "hits"]:
        """By how much each activation is to change."""
        ops, values = self.ops[hits.entries], self.values[hits.entries].to(activations)
        ops = ops.to(activations.device)
        # By the place in OPS: 0 sets, 1 scales, 2 adds.
        scaled, added = (values - 1) * activations, values
        return torch.where(ops == 0, values - activations, torch.where(ops == 1, scaled, added))

    def _changed_latents(self, layer: int) -> np.ndarray:
        if layer not in self._latents:
            self._latents[layer] = np.unique(self.latent_of[self.layer_of == layer])
        return self._latents[layer]

"""One forward pass: which token of which row stands in each column of the batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.tokens.rows import Row, Where, position_mask


@dataclass(slots=True)
class BatchLayout:
    """The columns of one forward pass, on the host, so that masks cost no device synchronisation.

    Attributes:
        positions: `[rows, columns]`, a token's index in its row; -1 for padding and for finished rows.
        prompts: `[rows]` prompt lengths; None in a forward pass about whose rows nothing is known.
        callers: `[rows]`, which of the caller's rows each one is; None where they are in the caller's order.
    """

    positions: np.ndarray
    prompts: np.ndarray | None
    callers: np.ndarray | None = None
    _masks: dict[Where | tuple[int, ...], np.ndarray] = field(default_factory=dict)
    _chosen: dict[Where | tuple[int, ...], "PositionIndex"] = field(default_factory=dict)

    def mask(self, where: Where | tuple[int, ...]) -> np.ndarray:
        """Booleans `[rows, columns]`: the columns that `where` means."""
        found = self._masks.get(where)
        if found is None:
            prompts = self.prompts
            if prompts is None:
                if where != "all" and not isinstance(where, tuple):
                    raise ModelError(
                        f"an edit at {where!r} needs to know each row's prompt: "
                        "pass rows= to edited(), or use read() and generate()"
                    )
                prompts = np.zeros(len(self.positions), np.int64)
            found = self._masks[where] = position_mask(where, self.positions, prompts)
        return found

    def whose(self, rows: int) -> np.ndarray:
        """`[rows]`: which of so many rows of the caller's each row of the pass is.

        Raises:
            ModelError: it is none of them.
        """
        found = np.arange(len(self.positions)) if self.callers is None else self.callers
        if found.max(initial=-1) >= rows:
            raise ModelError(
                f"a forward pass of other rows than the {rows} this block was opened for: they must agree"
            )
        return found

    def chosen(
        self, where: Where | tuple[int, ...], slots: np.ndarray, device: torch.device
    ) -> "PositionIndex":
        """The same columns as a sink needs them, worked out once for all layers."""
        found = self._chosen.get(where)
        if found is None:
            mask = self.mask(where)
            counts = mask.sum(1)
            rows = np.flatnonzero(counts)
            in_place = len(rows) == len(slots) and bool((slots == np.arange(len(slots))).all())
            index = torch.from_numpy(slots[rows]).to(device)
            found = self._chosen[where] = PositionIndex(mask, counts, rows, slots[rows], index, in_place)
        return found


@dataclass(frozen=True, slots=True)
class PositionIndex:
    """Some columns of a pass.

    Attributes:
        mask: `[rows, columns]`.
        counts: `[rows]`, how many columns of each row are meant.
        rows: the rows that have any.
        slots: the slots of these rows in the sinks of the batch.
        index: `slots` on the device.
        in_place: whether these are all rows, and slot i is row i.
    """

    mask: np.ndarray
    counts: np.ndarray
    rows: np.ndarray
    slots: np.ndarray
    index: Tensor
    in_place: bool


def right_padded(rows: Sequence[Row], callers: Sequence[int] | None = None) -> tuple[np.ndarray, BatchLayout]:
    """Ids `[rows, columns]` with 0 as padding after each row, and the pass they make."""
    lengths = np.array([len(row) for row in rows])
    columns = np.arange(lengths.max(initial=0))
    positions = np.where(columns < lengths[:, None], columns, -1)
    return _filled(rows, positions), _pass(rows, positions, callers)


def left_padded(rows: Sequence[Row], callers: Sequence[int] | None = None) -> tuple[np.ndarray, BatchLayout]:
    """Ids `[rows, columns]` with 0 as padding before each row, and the pass they make."""
    lengths = np.array([len(row) for row in rows])
    width = lengths.max(initial=0)
    positions = np.maximum(np.arange(width) - (width - lengths[:, None]), -1)
    return _filled(rows, positions), _pass(rows, positions, callers)


def _pass(rows: Sequence[Row], positions: np.ndarray, callers: Sequence[int] | None) -> BatchLayout:
    prompts = np.array([row.prompt_length for row in rows])
    return BatchLayout(positions, prompts, None if callers is None else np.array(callers))


def _filled(rows: Sequence[Row], positions: np.ndarray) -> np.ndarray:
    ids = np.zeros(positions.shape, np.int64)
    for line, at, row in zip(ids, positions, rows, strict=True):
        line[at >= 0] = row.ids
    return ids


def pass_of_call(inputs: Tensor, attention_mask: object, prompts: np.ndarray | None) -> BatchLayout:
    """The pass of a call made from outside, whose positions its attention mask tells."""
    rows, columns = inputs.shape[:2]
    if prompts is not None and len(prompts) != rows:
        raise ModelError(
            f"a forward pass of {rows} rows inside edited() for {len(prompts)} rows; they must agree"
        )
    if isinstance(attention_mask, Tensor) and attention_mask.ndim == 2:
        real = attention_mask.detach().to("cpu", torch.bool).numpy()
        positions = np.where(real, np.cumsum(real, 1) - 1, -1)[:, -columns:]
    else:
        positions = np.broadcast_to(np.arange(columns), (rows, columns))
    return BatchLayout(positions, prompts)

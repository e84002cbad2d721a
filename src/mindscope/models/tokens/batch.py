"""One forward pass: which token of which row stands in each column of the batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.tokens.rows import Positions, Row, position_mask


@dataclass(slots=True)
class BatchLayout:
    """The columns of one forward pass, on the host, so that masks cost no device synchronisation.

    Attributes:
        positions: `[rows, columns]`, a token's index in its row; -1 for padding and for finished rows.
        prompts: `[rows]` prompt lengths; None in a forward pass about whose rows nothing is known.
        callers: `[rows]`, which of the caller's rows each one is; None where they are in the caller's order.
        lengths: `[rows]`, how many tokens each row has in the end, where this pass holds only some of them;
            None where the newest token here is a row's last.
        doubt: why it cannot be told which tokens these are, so that only all of them can be meant; None where
            it can.
        finals: `[rows]`, where final answers begin, as far as they have begun; None where no row reasons.
        steady: what many passes of the same rows choose alike; None where every pass is looked at by itself.
    """

    positions: np.ndarray
    prompts: np.ndarray | None
    callers: np.ndarray | None = None
    lengths: np.ndarray | None = None
    doubt: str | None = None
    finals: np.ndarray | None = None
    steady: "SteadyColumns | None" = None
    _masks: dict[Positions, np.ndarray] = field(default_factory=dict)
    _chosen: dict[object, "PositionIndex"] = field(default_factory=dict)

    def mask(self, where: Positions) -> np.ndarray:
        """Booleans `[rows, columns]`: the columns that `where` means."""
        found = self._masks.get(where)
        if found is None:
            prompts = self.prompts
            if self.doubt is not None and where != "all":
                raise ModelError(f"an edit at {where!r} is not possible in this pass: {self.doubt}")
            if prompts is None:
                if where != "all" and not isinstance(where, tuple):
                    raise ModelError(
                        f"an edit at {where!r} needs to know each row's prompt: "
                        "pass rows= to edited(), or use read() and generate()"
                    )
                prompts = np.zeros(len(self.positions), np.int64)
            found = self._masks[where] = position_mask(where, self.positions, prompts, self.finals)
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

    def chosen(self, where: Positions) -> "PositionIndex":
        """The same columns as a sink needs them, worked out once for all layers."""
        if self.steady is not None and (known := self.steady.known.get(where)) is not None:
            return known
        chosen = self._chosen.get(where)
        if chosen is None:
            chosen = self._chosen[where] = PositionIndex(self.mask(where), self.positions >= 0)
        return chosen

    def members(self, key: object, members: Mapping[Positions, np.ndarray]) -> "PositionIndex":
        """The columns that each row means by a `where` of its own.

        Args:
            key: names the members; the same key in the same pass must be the same members.
            members: by `where`, which rows mean it, `[rows, 1]`.
        """
        steady = self.steady is not None and members.keys() <= self.steady.known.keys()
        remembered = self.steady.members if self.steady is not None and steady else self._chosen
        chosen = remembered.get(key)
        if chosen is None:
            mask = np.zeros(self.positions.shape, bool)
            for where, rows in members.items():
                mask |= self.mask(where) & rows
            chosen = remembered[key] = PositionIndex(mask, self.positions >= 0)
        return chosen


class SteadyColumns:
    """The choices that hold for every pass of one new token a row, until other rows are in the pass.

    Attributes:
        known: by `where`.
        members: of rows that mean different ones of these, by their key.
    """

    def __init__(self, live: np.ndarray, *, reasons: bool):
        """Of rows that are past their prompts: `live` are booleans `[rows]`, the others are padding.

        With `reasons` some row has a reasoning, whose end is not known beforehand.
        """
        real = live[:, None].copy()
        everything, nothing = PositionIndex(real, real), PositionIndex(np.zeros_like(real), real)
        self.known: dict[Positions, PositionIndex] = {
            "all": everything,
            "answer": everything,
            "response": everything,
            "prompt": nothing,
            "last_prompt": nothing,
        }
        if not reasons:
            self.known |= {"final": everything, "reasoning": nothing}
        self.members: dict[object, PositionIndex] = {}


class PositionIndex:
    """Some columns of a pass, on the host and, once a sink needs them there, on devices.

    Attributes:
        mask: `[rows, columns]`.
        counts: `[rows]`, how many columns of each row are meant.
        n_chosen: how many columns are meant in all.
        whole: whether nothing has to be masked: all columns are meant, but for rows that are not in this pass
            with any token, whose activations nobody reads.
    """

    def __init__(self, mask: np.ndarray, real: np.ndarray):
        self.mask = mask
        self.counts = mask.sum(1)
        self.n_chosen = int(self.counts.sum())
        self._real = real
        self._on_device: dict[tuple[str, torch.device], Tensor] = {}
        self._among: dict[bytes, PositionIndex] = {}

    @cached_property
    def whole(self) -> bool:
        """See above; worked out where it is asked for."""
        if self.n_chosen == self.mask.size:
            return True
        return bool((self.mask | ~self._real.any(1, keepdims=True)).all())

    def among(self, rows: np.ndarray) -> "PositionIndex":
        """The same columns of some rows alone, which booleans `[rows]` name."""
        if rows.all():
            return self
        key = rows.tobytes()
        if key not in self._among:
            self._among[key] = PositionIndex(self.mask & rows[:, None], self._real)
        return self._among[key]

    def flags(self, device: torch.device) -> Bool[Tensor, "rows columns"]:
        """`mask` on a device."""
        return self._cached("flags", device, lambda: self.mask)

    def index(self, device: torch.device) -> Int[Tensor, "chosen"]:
        """The chosen columns, row by row, as indices into all columns of all rows."""
        return self._cached("index", device, lambda: np.flatnonzero(self.mask))

    def newest(self, device: torch.device) -> Int[Tensor, "rows"]:
        """The last chosen column of each row; the last of all where none is chosen."""
        return self._cached("newest", device, lambda: self.mask.shape[1] - 1 - self.mask[:, ::-1].argmax(1))

    def _cached(self, name: str, device: torch.device, make: Callable[[], np.ndarray]) -> Tensor:
        key = (name, device)
        if key not in self._on_device:
            self._on_device[key] = torch.from_numpy(make()).to(device)
        return self._on_device[key]


def right_padded(rows: Sequence[Row], callers: Sequence[int] | None = None) -> tuple[np.ndarray, BatchLayout]:
    """Ids `[rows, columns]` with 0 as padding after each row, and the pass they make."""
    lengths = np.array([len(row) for row in rows])
    columns = np.arange(lengths.max(initial=0))
    positions = np.where(columns < lengths[:, None], columns, -1)
    return _filled(rows, positions), _layout(rows, positions, callers)


def left_padded(rows: Sequence[Row], callers: Sequence[int] | None = None) -> tuple[np.ndarray, BatchLayout]:
    """Ids `[rows, columns]` with 0 as padding before each row, and the pass they make."""
    lengths = np.array([len(row) for row in rows])
    width = lengths.max(initial=0)
    positions = np.maximum(np.arange(width) - (width - lengths[:, None]), -1)
    return _filled(rows, positions), _layout(rows, positions, callers)


def _layout(rows: Sequence[Row], positions: np.ndarray, callers: Sequence[int] | None) -> BatchLayout:
    prompts, finals = prompts_and_finals(rows)
    return BatchLayout(positions, prompts, None if callers is None else np.array(callers), finals=finals)


def prompts_and_finals(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """`[rows]` each: how long the prompts are, and where the final answers begin."""
    prompts = np.array([row.prompt_length for row in rows], np.int64)
    return prompts, np.array([row.final_start for row in rows], np.int64)


def _filled(rows: Sequence[Row], positions: np.ndarray) -> np.ndarray:
    ids = np.zeros(positions.shape, np.int64)
    for line, at, row in zip(ids, positions, rows, strict=True):
        line[at >= 0] = row.ids
    return ids

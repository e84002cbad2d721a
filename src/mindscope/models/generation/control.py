"""Acting on answers while they are written: who looks on, and what may be done to a row."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.edits import Edit
from mindscope.models.hooks.read import Read, find_place
from mindscope.models.hooks.read_group import ReadGroup
from mindscope.models.hooks.reduce import Last, Mean


@dataclass(frozen=True, slots=True)
class RowAction:
    """What is to happen to a row from its next token on.

    Attributes:
        stop: end the answer here; its `finish` is "halted".
        edits: pushes on every token from now on, in place of those before; None leaves them as they are.
            Their `where` must be "all".
    """

    stop: bool = False
    edits: tuple[Edit, ...] | None = None

    def __post_init__(self) -> None:
        if any(edit.where != "all" for edit in self.edits or ()):
            raise ModelError(
                "a controller's edits hold for every token until it changes them: use where='all'"
            )


@dataclass(frozen=True, slots=True, eq=False)
class ReadTable:
    """What one read found in several rows.

    Attributes:
        rows: those that have new tokens, by the indices of their requests.
        counts: `[rows]`, how many.
        values: `[tokens, k]`, row by row, on the CPU.
    """

    rows: tuple[int, ...]
    counts: np.ndarray
    values: Tensor


class SeenTokens(Mapping[int, Mapping[str, Tensor]]):
    """What a controller's reads found since its last call: by row and read, `[tokens, k]`.

    Rows are made of the tables as they are asked for: who takes the tables needs no work for each row.

    Attributes:
        tables: by read, all rows at once; reads without new tokens are left out.
    """

    def __init__(self, tables: Mapping[str, ReadTable]):
        self.tables = tables
        self._rows: dict[int, dict[str, Tensor]] | None = None

    def __getitem__(self, row: int) -> Mapping[str, Tensor]:
        return self._by_row()[row]

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_row())

    def __len__(self) -> int:
        return len(self._by_row())

    def without(self, rows: Set[int]) -> "SeenTokens":
        """The same but for some rows."""
        tables: dict[str, ReadTable] = {}
        for name, table in self.tables.items():
            kept = np.array([row not in rows for row in table.rows], bool)
            if kept.any():
                tokens = torch.from_numpy(np.repeat(kept, table.counts))
                own = tuple(row for row in table.rows if row not in rows)
                tables[name] = ReadTable(own, table.counts[kept], table.values[tokens])
        return SeenTokens(tables)

    def _by_row(self) -> dict[int, dict[str, Tensor]]:
        if self._rows is None:
            self._rows = {}
            for name, table in self.tables.items():
                parts = table.values.split(table.counts.tolist())
                for row, tokens in zip(table.rows, parts, strict=True):
                    self._rows.setdefault(row, {})[name] = tokens
        return self._rows


@runtime_checkable
class Controller(Protocol):
    """Looks on while answers are written, and may end a row or push it, without touching its neighbours.

    A controller that acts on nothing may have an attribute `look_every`, a number of passes: it is then
    called no more often, and before any row leaves, with all tokens since the last call.
    """

    @property
    def reads(self) -> Mapping[str, Read]:
        """What to look at: `Project`, `Apply` or `Raw`.

        At an address that the controller pushes, it sees what the row's own edits left and not its own push.
        """
        ...

    def step(self, seen: SeenTokens) -> Mapping[int, RowAction]:
        """Called after every forward pass, but for `look_every`.

        Args:
            seen: by row, what each read found since the last call, `[tokens, k]` on the CPU; rows and reads
                without new tokens are left out. The first call is of the prompt's tokens. The same lies in
                `seen.tables` for all rows at once.

        Returns:
            What to do, for the rows about which anything is to be done.
        """
        ...


class ControllerEdits:
    """The pushes on one row: those that hold now, and where the earlier ones did."""

    def __init__(self) -> None:
        self.current: tuple[Edit, ...] = ()
        self._places: dict[int, tuple[Edit, list[int]]] = {}

    def passed(self, position: int) -> None:
        """The token at this position of the row went through the model under the pushes that hold now."""
        for edit in self.current:
            self._places.setdefault(id(edit), (edit, []))[1].append(position)

    def record(self) -> tuple[Edit, ...]:
        """All that was pushed, as edits at explicit positions: read under them, the row is as it was."""
        return tuple(replace(edit, where=tuple(at)) for edit, at in self._places.values())


@dataclass(slots=True)
class ControllerReads:
    """A controller and what it sees of the rows of a batch.

    Attributes:
        controller: who looks on.
        group: what is read for it.
        n_unseen: passes since it was last called.
    """

    controller: Controller
    group: ReadGroup
    n_unseen: int = 0
    _rows: tuple[np.ndarray, np.ndarray, tuple[int, ...], np.ndarray] | None = None

    def may_wait(self) -> bool:
        """Count a pass; whether its controller need not be called for it."""
        self.n_unseen += 1
        return self.n_unseen < getattr(self.controller, "look_every", 1)

    def drain(self, callers: np.ndarray) -> SeenTokens:
        """What was seen since the last call; `callers` are the indices of the requests, `[lines]`."""
        self.n_unseen = 0
        drained = self.group.drain()
        return SeenTokens(
            {
                name: ReadTable(*self._rows_of(counts, callers), values)
                for name, (counts, values) in drained.items()
            }
        )

    def _rows_of(self, counts: np.ndarray, callers: np.ndarray) -> tuple[tuple[int, ...], np.ndarray]:
        """The requests of the lines with tokens, and how many each has; most passes ask as the last did."""
        if self._rows is None or self._rows[0] is not counts or self._rows[1] is not callers:
            lines = np.flatnonzero(counts)
            self._rows = counts, callers, tuple(callers[lines].tolist()), counts[lines]
        return self._rows[2:]


def require_watchable(core: HookedModel, controller: Controller) -> None:
    """Refuse a controller whose reads do not fit.

    Raises:
        ModelError: an address or width is not the model's, or what it wants is known at the end alone.
    """
    for name, read in controller.reads.items():
        find_place(core, read)
        if isinstance(read.reduce, Mean | Last):
            raise ModelError(f"a controller cannot watch {name}: read it with Project, Apply or Raw")

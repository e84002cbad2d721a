"""Writing into a model: an edit, and the program that applies many rows' edits in one operation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.hooks.hook_points import HookPoint
from mindscope.models.tokens.batch import BatchLayout
from mindscope.models.tokens.rows import Positions, check_where

Op = Literal["add", "ablate", "clamp", "cap", "replace"]
OPS: tuple[Op, ...] = ("add", "ablate", "clamp", "cap", "replace")


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """One change of the activations h at an address, with a vector v and its unit vector v^.

    - `add`: h + value * v (activation addition with the raw norm; persona vectors, arXiv 2507.21509).
    - `ablate`: h - (h . v^) v^ (directional ablation, arXiv 2406.11717); value is not used.
    - `clamp`: the projection h . v^ becomes value, everything orthogonal stays.
    - `cap`: the projection becomes min(h . v^, value).
    - `replace`: value * v.

    Gradients flow through an edit to h and, if it asks for them, to the vector.
    """

    address: str
    op: Op
    vector: Float[Tensor, "width"]
    value: float | int = 1.0
    where: Positions = "all"

    def __post_init__(self) -> None:
        if self.op not in OPS:
            raise ModelError(f"unknown edit {self.op!r}; use one of {', '.join(OPS)}")
        check_where(self.where)
        if not np.isfinite(self.value):
            raise ModelError(f"an edit's value must be a finite number, got {self.value}")
        check_vector(self.vector, f"the vector of the edit at {self.address}")


def check_vector(vector: object, what: str) -> None:
    """Refuse what cannot be a direction: wrong rank, NaN, infinity, zero."""
    if not isinstance(vector, Tensor) or vector.ndim != 1 or not vector.is_floating_point():
        shape = tuple(vector.shape) if isinstance(vector, Tensor) else type(vector).__name__
        raise ModelError(f"{what} must be a one-dimensional float tensor, got {shape}")
    values = vector.detach()
    if not torch.isfinite(values).all():
        raise ModelError(f"{what} holds NaN or infinity; compute it again from rows with non-empty answers")
    if not values.any():
        raise ModelError(f"{what} is zero and has no direction; leave the edit out instead")


Members = dict[Positions, np.ndarray]
"""By positions, which rows of a batch mean them: `[rows, 1]`."""


@dataclass(slots=True)
class _EditStage:
    """One operation at one place for all rows of a batch: one fused operation per forward pass.

    A table with a line for every row of the batch, so that a row that joins writes its line and no other.
    """

    step: int  # among the edits of a row at one place, the how manieth these are
    op: Op
    vectors: Float[Tensor, "rows 1 width"]  # add, replace: value * v; else v^; zero for rows without the edit
    values: Float[Tensor, "rows 1"]
    members: Members
    key: object = None  # of the members, so that stages with the same ones share a mask
    _cast: dict[tuple[torch.dtype, torch.device, bool], Tensor] = field(default_factory=dict)

    def settle(self) -> None:
        """Note that the table has changed."""
        self.members = {where: rows for where, rows in self.members.items() if rows.any()}
        self.key = tuple((where, rows.tobytes()) for where, rows in self.members.items())
        self._cast.clear()

    def apply(self, hidden: Tensor, layout: BatchLayout) -> Tensor:
        chosen = layout.members(self.key, self.members)
        if not chosen.n_chosen:
            return hidden
        where = None if chosen.whole else chosen.flags(hidden.device).unsqueeze(-1)
        if self.op == "add":
            delta = self._vectors(hidden)
            return hidden + delta if where is None else torch.addcmul(hidden, where.to(hidden.dtype), delta)
        if self.op == "replace":
            new = self._vectors(hidden)
            return new.expand_as(hidden).clone() if where is None else torch.where(where, new, hidden)
        # Projections are taken in float32: in bfloat16 an ablated direction would keep a visible rest.
        vectors, values = self.vectors.to(hidden.device), self.values.to(hidden.device)
        wide = hidden.float()
        along = (wide * vectors).sum(-1)
        match self.op:
            case "ablate":
                change = -along
            case "clamp":
                change = values - along
            case "cap":
                change = (values - along).clamp(max=0)
        change = change.unsqueeze(-1)
        if where is not None:  # not a product with 0: what is not edited may be infinite
            change = torch.where(where, change, 0)
        return torch.addcmul(wide, change, vectors).to(hidden.dtype)

    def _vectors(self, hidden: Tensor) -> Tensor:
        # Tensors made in inference mode are of no use to autograd, so each mode has its own.
        key = (hidden.dtype, hidden.device, torch.is_inference_mode_enabled())
        if key not in self._cast:
            self._cast[key] = self.vectors.to(hidden.device, hidden.dtype)
        return self._cast[key]


class CompiledEdits:
    """The edits of a batch's rows, grouped by place and stacked over the rows.

    1. Each row's k-th edit at a place happens in step k; rows that do the same operation there share a stage.
    2. The vectors of all stages of one width are stacked, scaled and normalized together: 64 rows with 32
       edits each are a handful of operations and not 2,048.
    3. A stage takes its rows' lines out of that stack.
    """

    def __init__(
        self, edits: Sequence[Sequence[Edit]], place: Callable[[str], HookPoint], device: torch.device
    ):
        """Compile one list of edits per row; a single list stands for every row."""
        self.n_rows = len(edits)
        self.stages: dict[str, list[_EditStage]] = {}
        self.places: dict[str, HookPoint] = {}
        self.learned = any(edit.vector.requires_grad for row in edits for edit in row)
        rows_of: dict[tuple[str, int, Op], list[tuple[int, Edit]]] = {}
        for index, row in enumerate(edits):
            steps: dict[str, int] = {}
            for edit in row:
                step = steps[edit.address] = steps.get(edit.address, -1) + 1
                rows_of.setdefault((edit.address, step, edit.op), []).append((index, edit))
        for (address, step, op), members, vectors, values in _stacked(rows_of, device):
            self.places[address] = place(address)
            stage = _stage(step, op, members, vectors, values, self.n_rows)
            self.stages.setdefault(address, []).append(stage)
        for stages in self.stages.values():
            stages.sort(key=lambda stage: stage.step)

    def apply(self, place: HookPoint, hidden: Tensor, layout: BatchLayout) -> Tensor:
        """The activations of one place, edited."""
        tokens = place.tokens(hidden, *layout.positions.shape)
        for stage in self.stages[place.address]:
            tokens = stage.apply(tokens, layout)
        return place.laid_out(tokens, hidden)

    def count_tokens(self, place: HookPoint, layout: BatchLayout) -> int:
        """How many edits of tokens a pass makes at a place: a token that two edits mean counts twice."""
        stages = self.stages[place.address]
        return sum(layout.members(stage.key, stage.members).n_chosen for stage in stages)

    def rearrange(self, kept: np.ndarray, n_blank: int) -> None:
        """Keep some rows in a new order, and append rows without edits."""
        self.n_rows = len(kept) + n_blank
        for stage in self._all():
            lines = torch.from_numpy(kept).to(stage.vectors.device)
            stage.vectors = _extended(stage.vectors[lines], n_blank)
            stage.values = _extended(stage.values[lines], n_blank)
            for where, rows in stage.members.items():
                stage.members[where] = np.concatenate([rows[kept], np.zeros((n_blank, 1), bool)])
        self._settle()

    def clear(self, rows: np.ndarray) -> None:
        """Take away the edits of these rows."""
        for stage in self._all():
            for members in stage.members.values():
                members[rows] = False
        self._settle()

    def put(self, rows: np.ndarray, other: "CompiledEdits") -> None:
        """Let the rows of another program take the places of these."""
        for stage in self._all():
            for members in stage.members.values():
                members[rows] = False
        for address, stages in other.stages.items():
            self.places[address] = other.places[address]
            own = self.stages.setdefault(address, [])
            for new in stages:
                table = next((old for old in own if (old.step, old.op) == (new.step, new.op)), None)
                if table is None:
                    vectors = new.vectors.new_zeros(self.n_rows, *new.vectors.shape[1:])
                    table = _EditStage(new.step, new.op, vectors, new.values.new_zeros(self.n_rows, 1), {})
                    own.append(table)
                lines = torch.from_numpy(rows).to(new.vectors.device)
                table.vectors[lines], table.values[lines] = new.vectors, new.values
                for where, members in new.members.items():
                    table.members.setdefault(where, np.zeros((self.n_rows, 1), bool))[rows] = members
            own.sort(key=lambda stage: stage.step)
        self._settle()

    def _all(self) -> list[_EditStage]:
        return [stage for stages in self.stages.values() for stage in stages]

    def _settle(self) -> None:
        """Drop stages and places that no row uses any more."""
        for stage in self._all():
            stage.settle()
        self.stages = {
            address: kept
            for address, stages in self.stages.items()
            if (kept := [stage for stage in stages if stage.members])
        }
        self.places = {address: self.places[address] for address in self.stages}


StageKey = tuple[str, int, Op]
"""Which address, the how manieth edits of their rows there, and which operation."""


def _stacked(
    rows_of: Mapping[StageKey, Sequence[tuple[int, Edit]]], device: torch.device
) -> Iterator[tuple[StageKey, Sequence[tuple[int, Edit]], Tensor, Tensor]]:
    """For each stage its edits, their vectors as they are written `[edits, width]`, and values `[edits, 1]`.

    Vectors are scaled by their values, or of unit length.
    """
    alike: dict[tuple[int, torch.device, bool], list[StageKey]] = {}
    for key, members in rows_of.items():
        vector = members[0][1].vector
        alike.setdefault((vector.shape[0], vector.device, key[2] in ("add", "replace")), []).append(key)
    for (_, source, scaled), keys in alike.items():
        edits = [edit for key in keys for _, edit in rows_of[key]]
        # Stacked where they lie, so that they come to the device in one transfer.
        vectors = torch.stack([edit.vector.to(source) for edit in edits]).to(device, torch.float32)
        values = torch.from_numpy(np.array([edit.value for edit in edits], np.float32)).to(device)[:, None]
        vectors = vectors * values if scaled else vectors / vectors.norm(dim=1, keepdim=True)
        sizes = [len(rows_of[key]) for key in keys]
        for key, own_vectors, own_values in zip(keys, vectors.split(sizes), values.split(sizes), strict=True):
            yield key, rows_of[key], own_vectors, own_values


def _stage(
    step: int,
    op: Op,
    edits: Sequence[tuple[int, Edit]],
    vectors: Float[Tensor, "edits width"],
    values: Float[Tensor, "edits 1"],
    n_rows: int,
) -> _EditStage:
    rows = np.array([index for index, _ in edits])
    wheres: list[Positions] = [edit.where for _, edit in edits]
    members: Members = {where: np.zeros((n_rows, 1), bool) for where in dict.fromkeys(wheres)}
    if len(members) == 1:
        members[wheres[0]][rows] = True
    else:
        for row, where in zip(rows.tolist(), wheres, strict=True):
            members[where][row] = True
    if len(edits) < n_rows:
        lines = torch.from_numpy(rows).to(vectors.device)
        vectors = vectors.new_zeros(n_rows, vectors.shape[1]).index_copy(0, lines, vectors)
        values = values.new_zeros(n_rows, 1).index_copy(0, lines, values)
    stage = _EditStage(step, op, vectors[:, None], values, members)
    stage.settle()
    return stage


def _extended(table: Tensor, n_blank: int) -> Tensor:
    return torch.cat([table, table.new_zeros(n_blank, *table.shape[1:])])

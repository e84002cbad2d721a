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
from mindscope.models.tokens.rows import Where, check_where

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
    where: Where | tuple[int, ...] = "all"

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


@dataclass(slots=True)
class _EditStage:
    """One operation at one place for all rows of a batch: one fused operation per forward pass."""

    op: Op
    vectors: Float[Tensor, "rows 1 width"]  # add, replace: value * v; else v^; zero for rows without the edit
    values: Float[Tensor, "rows 1"]
    members: Mapping[Where | tuple[int, ...], np.ndarray]  # positions -> which rows, [rows, 1]
    _cast: dict[tuple[torch.dtype, torch.device, bool], Tensor] = field(default_factory=dict)

    def apply(self, hidden: Tensor, layout: BatchLayout) -> Tensor:
        chosen = np.zeros(layout.positions.shape, bool)
        for where, rows in self.members.items():
            chosen |= layout.mask(where) & rows
        if not chosen.any():
            return hidden
        everywhere = bool(chosen.all())
        where = None if everywhere else torch.from_numpy(chosen).to(hidden.device).unsqueeze(-1)
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
        change = change.unsqueeze(-1) if where is None else change.unsqueeze(-1) * where
        return torch.addcmul(wide, change, vectors).to(hidden.dtype)

    def _vectors(self, hidden: Tensor) -> Tensor:
        # Tensors made in inference mode are of no use to autograd, so each mode has its own.
        key = (hidden.dtype, hidden.device, torch.is_inference_mode_enabled())
        if key not in self._cast:
            self._cast[key] = self.vectors.to(hidden.device, hidden.dtype)
        return self._cast[key]


class CompiledEdits:
    """The edits of a batch's rows, grouped by place and stacked over the rows."""

    def __init__(
        self, edits: Sequence[Sequence[Edit]], place: Callable[[str], HookPoint], device: torch.device
    ):
        """Compile one list of edits per row; a single list stands for every row."""
        self.stages: dict[str, list[_EditStage]] = {}
        self.places: dict[str, HookPoint] = {}
        self.learned = any(edit.vector.requires_grad for row in edits for edit in row)
        for address in dict.fromkeys(edit.address for row in edits for edit in row):
            self.places[address] = place(address)
            mine = [[edit for edit in row if edit.address == address] for row in edits]
            self.stages[address] = list(_stages(mine, device))

    def apply(self, place: HookPoint, hidden: Tensor, layout: BatchLayout) -> Tensor:
        """The activations of one place, edited."""
        tokens = place.tokens(hidden, *layout.positions.shape)
        for stage in self.stages[place.address]:
            tokens = stage.apply(tokens, layout)
        return place.laid_out(tokens, hidden)


def _stages(edits: Sequence[Sequence[Edit]], device: torch.device) -> Iterator[_EditStage]:
    """Each row's k-th edit happens in step k; rows doing the same operation there share a stage."""
    for step in range(max(map(len, edits), default=0)):
        here = [row[step] if step < len(row) else None for row in edits]
        ops: list[Op] = [edit.op for edit in here if edit is not None]
        for op in dict.fromkeys(ops):
            yield _stage(op, [edit if edit is not None and edit.op == op else None for edit in here], device)


def _stage(op: Op, edits: Sequence[Edit | None], device: torch.device) -> _EditStage:
    width = next(edit.vector.shape[0] for edit in edits if edit is not None)
    nothing = torch.zeros(width, device=device)
    vectors, values = [], []
    members: dict[Where | tuple[int, ...], np.ndarray] = {}
    for index, edit in enumerate(edits):
        if edit is None:
            vectors.append(nothing)
            values.append(0.0)
            continue
        vector = edit.vector.to(device, torch.float32)
        vectors.append(vector * edit.value if op in ("add", "replace") else vector / vector.norm())
        values.append(edit.value)
        members.setdefault(edit.where, np.zeros((len(edits), 1), bool))[index] = True
    return _EditStage(
        op, torch.stack(vectors)[:, None], torch.tensor(values, device=device)[:, None], members
    )

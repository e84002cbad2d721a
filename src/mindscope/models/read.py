"""Reading: activations of many rows, reduced on the way, in as few and as short passes as possible."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mindscope.models.edits import Edit
from mindscope.models.hooks import Tap
from mindscope.models.passes import right_padded
from mindscope.models.reduce import Last, Mean, Reduction, sink
from mindscope.models.rows import Row

if TYPE_CHECKING:
    from mindscope.models.model import Model

Progress = Callable[[int, int], object]
"""Called with (rows done, rows in all)."""


@dataclass(frozen=True, slots=True)
class Read:
    """What to read: an address, and how to reduce over the tokens there."""

    address: str
    reduce: Reduction


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read, in the caller's order, float32 on the CPU.

    Attributes:
        values: `[rows, width]` for Mean and Last; a list of `[tokens, width or k]` for Raw and Project.
        valid: False for a row that has no token there; its Mean or Last is NaN, so select by `valid` first.
    """

    values: Tensor | list[Tensor]
    valid: tuple[bool, ...]


def read(
    model: "Model",
    rows: Sequence[Row],
    reads: Mapping[str, Read],
    *,
    edits: Sequence[Edit] | Sequence[Sequence[Edit]] | None = None,
    batch_tokens: int = 8192,
    progress: Progress | None = None,
) -> dict[str, Reading]:
    """See `Model.read`."""
    model.check_rows(rows)
    own = model.edits_of(edits, len(rows))
    places = {name: model.place_of(read) for name, read in reads.items()}
    whole = any(place.module is model.engine.arch.lm_head for place in places.values())
    found: dict[str, list[Tensor | None]] = {name: [None] * len(rows) for name in reads}
    done = 0
    for batch in batches([len(row) for row in rows], batch_tokens):
        chosen = [rows[i] for i in batch]
        taps = {
            name: Tap(
                places[name],
                read.reduce.where,
                sink(read.reduce, len(batch), model.width(places[name]), model.device),
            )
            for name, read in reads.items()
        }
        if len(chosen[0]):
            ids, now = right_padded(chosen)
            program = model.program([own[i] for i in batch]) if own else None
            with torch.inference_mode():
                model.forward_pass(ids, now, program, list(taps.values()), whole=whole)
        for name, tap in taps.items():
            for slot, i in enumerate(batch):
                found[name][i] = tap.sink.result(slot).cpu()
        done += len(batch)
        if progress is not None:
            progress(done, len(rows))
    return {name: _reading(reads[name], found[name], rows) for name in reads}


def batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of rows, longest first, in batches of at most `batch_tokens` columns; empty rows apart."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    start = 0
    while start < len(order):
        longest = lengths[order[start]]
        size = max(1, batch_tokens // longest) if longest else len(order)
        batch = [i for i in order[start : start + size] if bool(lengths[i]) == bool(longest)]
        yield batch
        start += len(batch)


def _reading(read: Read, values: Sequence[Tensor | None], rows: Sequence[Row]) -> Reading:
    tensors = [value for value in values if value is not None]
    if isinstance(read.reduce, (Mean, Last)):
        stacked = torch.stack(tensors) if tensors else torch.zeros(0, 0)
        return Reading(stacked, tuple(bool(v) for v in ~stacked.isnan().all(-1)))
    return Reading(tensors, tuple(len(tensor) > 0 for tensor in tensors))

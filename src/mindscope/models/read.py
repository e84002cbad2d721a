"""Reading: activations of many rows, reduced on the way, in as few and as short passes as possible."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.core import Core, Edits
from mindscope.models.hooks import Tap
from mindscope.models.passes import right_padded
from mindscope.models.reduce import Last, Mean, Project, Reduction, sink
from mindscope.models.rows import Row, mask

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
        valid: `[rows]`, False for a row that has no token there. Its Mean or Last is NaN, so take
            `values[valid]`.
    """

    values: Tensor | list[Tensor]
    valid: Bool[Tensor, "rows"]


def read(
    core: Core,
    rows: Sequence[Row],
    reads: Mapping[str, Read],
    *,
    edits: Edits | None,
    batch_tokens: int | None,
    progress: Progress | None,
) -> dict[str, Reading]:
    """See `Model.read`."""
    core.check_rows(rows)
    own = core.edits_of(edits, len(rows))
    found: dict[str, dict[int, Tensor]] = {name: {} for name in reads}
    done = 0
    for batch in batches([len(row) for row in rows], batch_tokens or core.pass_tokens):
        taps = {name: tap(core, one, len(batch)) for name, one in reads.items()}
        ids, now = right_padded([rows[i] for i in batch])
        if ids.size and taps:
            program = core.program([own[i] for i in batch]) if own else None
            with torch.inference_mode():
                core.forward_pass(ids, now, program, list(taps.values()), logits=False, early=True)
        for name, one in taps.items():
            found[name].update((i, one.sink.result(slot).cpu()) for slot, i in enumerate(batch))
        done += len(batch)
        if progress is not None:
            progress(done, len(rows))
    return {name: _reading(one, rows, found[name]) for name, one in reads.items()}


def tap(core: Core, read: Read, rows: int) -> Tap:
    """A read made ready for a batch of rows; ModelError where its address or directions do not fit."""
    place = core.place(read.address)
    width = core.width(place)
    if isinstance(read.reduce, Project) and read.reduce.directions.shape[1] != width:
        raise ModelError(
            f"directions of width {read.reduce.directions.shape[1]} cannot be read at {read.address}, "
            f"which is {width} wide; use directions made for this model"
        )
    return Tap(place, read.reduce.where, sink(read.reduce, rows, width, core.device))


def batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of rows, longest first, in batches of at most `batch_tokens` columns."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


def _reading(read: Read, rows: Sequence[Row], found: Mapping[int, Tensor]) -> Reading:
    where = read.reduce.where
    held = [bool(mask(where, np.arange(len(row))[None], np.array([row.prompt])).any()) for row in rows]
    valid = torch.tensor(held, dtype=torch.bool)
    values = [found[i] for i in range(len(rows))]
    if isinstance(read.reduce, Mean | Last) and values:
        return Reading(torch.stack(values), valid)
    return Reading(values, valid)

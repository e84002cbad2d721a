"""Reading: activations of many rows, reduced on the way, in as few and as short passes as possible."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.hooks.core import Edits, HookedModel
from mindscope.models.hooks.hook_points import HookPoint
from mindscope.models.hooks.read_group import ReadGroup
from mindscope.models.hooks.reduce import Last, Mean, Project, Reduction
from mindscope.models.tokens.batch import left_padded, right_padded
from mindscope.models.tokens.rows import Row, row_mask

RowProgress = Callable[[int, int], object]
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


def read_rows(
    core: HookedModel,
    rows: Sequence[Row],
    reads: Mapping[str, Read],
    *,
    edits: Edits | None,
    batch_tokens: int | None,
    progress: RowProgress | None,
    callers: Sequence[int] | None = None,
) -> dict[str, Reading]:
    """See `Model.read`. `callers` says which of the caller's rows these are, where they are only some."""
    core.check_rows(rows)
    own = core.edits_of(edits, len(rows))
    found: dict[str, list[tuple[list[int], Tensor | list[Tensor]]]] = {name: [] for name in reads}
    done = 0
    for batch in length_sorted_batches([len(row) for row in rows], batch_tokens or core.pass_tokens):
        group = build_read_group(core, reads, len(batch))
        whose = batch if callers is None else [callers[i] for i in batch]
        ids, layout = right_padded([rows[i] for i in batch], whose)
        if ids.size and reads:
            steps = [core.program([own[i] for i in batch])] if own else []
            with torch.inference_mode():
                core.forward_pass(ids, layout, [*steps, group.taps], logits=False, early=True)
        for name in reads:
            found[name].append((batch, group.of_rows(name)))
        done += len(batch)
        if progress is not None:
            progress(done, len(rows))
    return {
        name: Reading(
            _in_order(one, found[name], len(rows), core.width(core.place(one.address))), _valid(one, rows)
        )
        for name, one in reads.items()
    }


def read_next_logits(
    core: HookedModel, rows: Sequence[Row], *, edits: Edits | None, batch_tokens: int | None
) -> Float[Tensor, "rows vocabulary"]:
    """See `Model.next_logits`."""
    core.check_rows(rows, filled=True)
    own = core.edits_of(edits, len(rows))
    logits_of: dict[int, Tensor] = {}
    for batch in length_sorted_batches([len(row) for row in rows], batch_tokens or core.pass_tokens):
        ids, layout = left_padded([rows[i] for i in batch], batch)
        steps = [core.program([own[i] for i in batch])] if own else []
        with torch.inference_mode():
            logits = core.forward_pass(ids, layout, steps, logits=True)
        assert logits is not None
        logits_of.update(zip(batch, logits.float().cpu().clone(), strict=True))
    if not rows:
        return torch.zeros(0, core.engine.vocab_size)
    return torch.stack([logits_of[i] for i in range(len(rows))])


def find_place(core: HookedModel, read: Read) -> HookPoint:
    """The place of a read; ModelError where the address leads nowhere or its directions do not fit."""
    place = core.place(read.address)
    width = core.width(place)
    if isinstance(read.reduce, Project) and read.reduce.directions.shape[1] != width:
        raise ModelError(
            f"directions of width {read.reduce.directions.shape[1]} cannot be read at {read.address}, "
            f"which is {width} wide; use directions made for this model"
        )
    return place


def build_read_group(core: HookedModel, reads: Mapping[str, Read], n_rows: int) -> ReadGroup:
    """What carries out the reads of a batch of rows."""
    return ReadGroup(core, {name: (find_place(core, one), one.reduce) for name, one in reads.items()}, n_rows)


def length_sorted_batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of rows, longest first, in batches of at most `batch_tokens` columns."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


def _in_order(
    read: Read, found: Sequence[tuple[list[int], Tensor | list[Tensor]]], rows: int, width: int
) -> Tensor | list[Tensor]:
    if isinstance(read.reduce, Mean | Last):
        vectors = torch.empty(rows, width, dtype=torch.float32)
        for batch, values in found:
            assert isinstance(values, Tensor)
            vectors[batch] = values
        return vectors
    tokens = {i: value for batch, values in found for i, value in zip(batch, values, strict=True)}
    return [tokens[i] for i in range(rows)]


def _valid(read: Read, rows: Sequence[Row]) -> Bool[Tensor, "rows"]:
    where = read.reduce.where
    return torch.tensor([bool(row_mask(where, row).any()) for row in rows], dtype=torch.bool)

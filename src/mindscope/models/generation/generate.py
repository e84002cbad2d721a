"""Generating: answers to many rows, a loop over a `DecodingBatch` that refills free slots.

1. Rows are begun in the order given, the longest prompts first among each `batch_rows` of them: later rows
   then mostly fit into the columns that are there, and what was asked first ends first, more or less.
2. Each answer is handed out in the step in which it ends.
3. Where memory runs out, what has ended has been handed out. The other rows are begun again from their seeds
   with half as many side by side. Somebody who looks on (a callback, a controller) would see a row's tokens
   twice, so there it is an error.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch

from mindscope.errors import ModelError
from mindscope.models.generation.batch import DecodingBatch
from mindscope.models.generation.config import Sampling
from mindscope.models.generation.control import Controller
from mindscope.models.generation.request import Generation, GenerationHandle, GenerationRequest
from mindscope.models.hooks.core import Edits, HookedModel
from mindscope.models.hooks.read import Read
from mindscope.models.tokens.rows import Row

OnToken = Callable[[int, int, str], object]
"""Called with (index of the row, token id, text that became certain); raising ends the generation."""

_KEPT_AS = "rows that fit side by side"
"""Under which a model remembers that memory ran out, so that the next generation does not try again."""


class MemoryWarning(UserWarning):
    """Memory ran out, and fewer answers are written side by side from now on."""


@dataclass(frozen=True)
class RowOptions:
    """What the rows of one generation are asked with, see `Model.generate`."""

    sampling: Sampling
    edits: Edits | None = None
    reads: Mapping[str, Read] | None = None
    seeds: Sequence[int] | None = None
    on_token: OnToken | None = None
    controller: Controller | None = None


def generate_unordered(
    core: HookedModel, rows: Sequence[Row], options: RowOptions, *, eos_ids: Set[int], batch_rows: int
) -> Iterator[tuple[int, Generation]]:
    """Each row's index and answer, in the order in which they end.

    Everything is checked before this returns; the writing begins with the first `next`.
    """
    core.check_rows(rows, filled=True, new=1)
    seeds = options.seeds
    if seeds is not None and len(seeds) != len(rows):
        raise ModelError(f"{len(seeds)} seeds for {len(rows)} rows; give one seed per row")
    own = core.edits_of(options.edits, len(rows))
    relay = _TokenRelay(options.on_token) if options.on_token is not None else None
    requests = [
        GenerationRequest(
            row,
            options.sampling,
            index=i,
            seed=None if seeds is None else seeds[i],
            edits=() if own is None else tuple(own[i]),
            reads=options.reads or {},
            controller=options.controller,
            on_token=None if relay is None else partial(relay, i),
        )
        for i, row in enumerate(rows)
    ]
    requests.sort(key=lambda request: (request.index // max(1, batch_rows), -len(request.row)))
    return _answers(core, _open_batch(core, requests, eos_ids, batch_rows), eos_ids)


@dataclass
class _OpenBatch:
    """A batch, and the requests in it that have not been handed out, by index."""

    batch: DecodingBatch
    requests: dict[int, GenerationRequest]


def _open_batch(
    core: HookedModel, requests: Sequence[GenerationRequest], eos_ids: Set[int], slots: int
) -> _OpenBatch:
    most = cast("int", core.derived.get(_KEPT_AS, slots))
    batch = DecodingBatch(core, slots=min(slots, most), eos_ids=eos_ids)
    for request in requests:
        batch.admit(request)
    return _OpenBatch(batch, {request.index: request for request in requests})


def _answers(core: HookedModel, running: _OpenBatch, eos_ids: Set[int]) -> Iterator[tuple[int, Generation]]:
    while running.batch.busy:
        ended, out_of_memory = _step(running.batch)
        for handle in ended:
            del running.requests[handle.request.index]
            yield handle.request.index, handle.result()
        if out_of_memory:
            slots = _fewer_slots(running)
            left = list(running.requests.values())
            running.batch.close()  # its cache goes before the next one comes
            if core.device.type != "cpu":
                torch.get_device_module(core.device).empty_cache()
            core.derived[_KEPT_AS] = slots
            running = _open_batch(core, left, eos_ids, slots)


def _step(batch: DecodingBatch) -> tuple[list[GenerationHandle], bool]:
    """What has ended, and whether memory ran out."""
    try:
        batch.step()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return batch.retire(), True
    return batch.retire(), False


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: `torch.OutOfMemoryError` says so, CPUs and MPS raise a plain RuntimeError."""
    text = str(error)
    named = "can't allocate memory" in text or "MPS backend out of memory" in text
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or named


def _fewer_slots(running: _OpenBatch) -> int:
    """Half as many rows as there were when memory ran out.

    Raises:
        ModelError: there was one, or somebody looks on.
    """
    batch = running.batch
    n_rows = min(batch.n_slots, len(running.requests))
    if n_rows == 1:
        raise ModelError(
            "memory ran out while a single answer was written: shorten the prompt or max_new_tokens, or load "
            "the model in a smaller dtype (dtype='bfloat16')"
        )
    if any(r.on_token is not None or r.controller is not None for r in running.requests.values()):
        raise ModelError(
            f"memory ran out with {n_rows} answers side by side, and those that are watched cannot be begun "
            f"again: use batch_rows={n_rows // 2}"
        )
    warnings.warn(
        f"memory ran out with {n_rows} answers side by side; going on with {n_rows // 2}",
        MemoryWarning,
        stacklevel=4,
    )
    return n_rows // 2


class _TokenRelay:
    """One callback for the tokens of all rows, which is left alone after it has raised."""

    def __init__(self, on_token: OnToken):
        self._on_token = on_token
        self._raised = False

    def __call__(self, row: int, token: int, text: str) -> None:
        if self._raised:
            return
        self._raised = True
        self._on_token(row, token, text)
        self._raised = False

"""Generating: answers to many rows, a loop over a `DecodingBatch` that refills free slots."""

from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial

from mindscope.errors import ModelError
from mindscope.models.generation.batch import DecodingBatch
from mindscope.models.generation.config import Sampling
from mindscope.models.generation.control import Controller
from mindscope.models.generation.request import Generation, GenerationRequest
from mindscope.models.hooks.core import Edits, HookedModel
from mindscope.models.hooks.read import Read, RowProgress
from mindscope.models.tokens.rows import Row

OnToken = Callable[[int, int, str], object]
"""Called with (index of the row, token id, text that became certain); raising ends the generation."""


def generate_rows(
    core: HookedModel,
    rows: Sequence[Row],
    sampling: Sampling,
    *,
    eos_ids: Set[int],
    edits: Edits | None,
    reads: Mapping[str, Read],
    seeds: Sequence[int] | None,
    batch_rows: int,
    progress: RowProgress | None,
    on_token: OnToken | None,
    controller: Controller | None = None,
) -> list[Generation]:
    """See `Model.generate`."""
    core.check_rows(rows, filled=True, new=1)
    if seeds is not None and len(seeds) != len(rows):
        raise ModelError(f"{len(seeds)} seeds for {len(rows)} rows; give one seed per row")
    own = core.edits_of(edits, len(rows))
    batch = DecodingBatch(core, slots=batch_rows, eos_ids=eos_ids)
    relay = _TokenRelay(on_token) if on_token is not None else None
    # The longest prompts first: later rows then fit into the columns that are there.
    for i in sorted(range(len(rows)), key=lambda i: -len(rows[i])):
        request = GenerationRequest(
            rows[i],
            sampling,
            index=i,
            seed=None if seeds is None else seeds[i],
            edits=() if own is None else tuple(own[i]),
            reads=reads,
            controller=controller,
            on_token=None if relay is None else partial(relay, i),
        )
        batch.admit(request)
    generations: dict[int, Generation] = {}
    while batch.busy:
        batch.step()
        for handle in batch.retire():
            generations[handle.request.index] = handle.result()
            if progress is not None:
                progress(len(generations), len(rows))
    return [generations[i] for i in range(len(rows))]


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

"""Passing the prompts of rows that join through the model, in groups of unlike lengths and bounded size.

A prompt that is too long for one pass goes in pieces, between which others may be written.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mindscope.models.generation.cache_select import has_states, require_known
from mindscope.models.generation.kv_cache import growing_cache
from mindscope.models.generation.request import GenerationHandle
from mindscope.models.generation.slots import SlotTables
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.read import length_sorted_batches
from mindscope.models.tokens.batch import BatchLayout, left_padded


def prefill_groups(
    core: HookedModel, handles: Sequence[GenerationHandle], pass_tokens: int
) -> Iterator[SlotTables | None]:
    """Tables of all rows, longest first, each group's when it has passed through the model.

    Args:
        core: the model.
        handles: whose rows these are.
        pass_tokens: the most tokens of one pass, with padding.

    Yields:
        A group's tables, or None after a pass that was not the last of its group.
    """
    lengths = [len(handle.request.row) for handle in handles]
    for group in length_sorted_batches(lengths, pass_tokens):
        yield from _prefill([handles[i] for i in group], core, pass_tokens)


def _prefill(
    handles: Sequence[GenerationHandle], core: HookedModel, pass_tokens: int
) -> Iterator[SlotTables | None]:
    rows = [handle.request.row for handle in handles]
    ids, whole = left_padded(rows, [handle.request.index for handle in handles])
    width, lengths = ids.shape[1], np.array([len(row) for row in rows])
    cache = growing_cache(core.hf.config)
    if len(rows) > 1:
        require_known(cache)
    tables = SlotTables(core, handles, cache, width)
    # A row that is too long for one pass is alone, so padding never comes in blocks. Where states are kept,
    # it passes whole: not every architecture goes on from a state with more than one token (Jamba does not).
    columns = width if len(rows) > 1 or has_states(cache) else min(width, pass_tokens)
    for start in range(0, width, columns):
        block = slice(start, start + columns)
        layout = BatchLayout(
            whole.positions[:, block], whole.prompts, whole.callers, lengths, finals=whole.finals
        )
        with torch.inference_mode():
            arguments = core.arguments(ids[:, block], layout, whole.positions[:, : block.stop] >= 0)
            tables.logits = core.forward_pass(
                arguments, layout, tables.steps, logits=block.stop >= width, cache=cache
            )
        tables.gauge.forget()
        yield tables if block.stop >= width else None

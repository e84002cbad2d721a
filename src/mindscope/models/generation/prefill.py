"""Passing the prompts of rows that join through the model, in groups of unlike lengths and bounded size.

A prompt that is too long for one pass goes in pieces, between which others may be written.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mindscope.models.generation.cache_select import has_states, require_known
from mindscope.models.generation.prefix_cache import PrefixCache, PromptPrefix, empty_cache, prefix_cache_of
from mindscope.models.generation.request import GenerationHandle
from mindscope.models.generation.slots import SlotTables
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.read import length_sorted_batches
from mindscope.models.tokens.batch import BatchLayout, left_padded

_WORTH_A_PASS = 64
"""Prompt tokens that a prefix must save, over all rows that share it, for a pass of its own beside others. A
pass costs as much as some ten tokens of a large model and hundreds of a small one."""


def prefill_groups(
    core: HookedModel,
    handles: Sequence[GenerationHandle],
    pass_tokens: int,
    prefixes: PrefixCache | None = None,
) -> Iterator[SlotTables | None]:
    """Tables of all rows, longest first, each group's when it has passed through the model.

    Rows that begin with a known prefix come first; those of one prefix and length pass together. What would
    save little joins the others, who pass whole.

    Args:
        core: the model.
        handles: whose rows these are.
        pass_tokens: the most tokens of one pass, with padding.
        prefixes: the beginnings of earlier prompts.

    Yields:
        A group's tables, or None after a pass that was not the last of its group.
    """
    cold: list[GenerationHandle] = []
    known: dict[tuple[int, int, int], tuple[PromptPrefix, list[GenerationHandle]]] = {}
    for handle in handles:
        prefix = None if prefixes is None else prefixes.find(core, handle.request)
        if prefix is None:
            cold.append(handle)
        else:
            key = (id(prefix.entry), prefix.n_tokens, len(handle.request.row))
            known.setdefault(key, (prefix, []))[1].append(handle)
    if len(known) + bool(cold) > 1:
        for key, (prefix, group) in list(known.items()):
            if prefix.n_tokens * len(group) < _WORTH_A_PASS:
                cold += group
                del known[key]
    lengths = [len(handle.request.row) for handle in cold]
    groups: list[tuple[PromptPrefix | None, list[GenerationHandle]]] = [*known.values()]
    groups += [(None, [cold[i] for i in group]) for group in length_sorted_batches(lengths, pass_tokens)]
    for prefix, group in groups:
        for tables in _prefill(group, core, pass_tokens, prefix):
            if tables is not None and prefixes is not None:
                prefixes.keep(core, [handle.request for handle in group], tables.cache)
            yield tables


def _prefill(
    handles: Sequence[GenerationHandle], core: HookedModel, pass_tokens: int, prefix: PromptPrefix | None
) -> Iterator[SlotTables | None]:
    rows = [handle.request.row for handle in handles]
    ids, whole = left_padded(rows, [handle.request.index for handle in handles])
    width, lengths = ids.shape[1], np.array([len(row) for row in rows])
    known = 0 if prefix is None else prefix.n_tokens
    cache = empty_cache(core) if prefix is None else prefix_cache_of(core, prefix, len(rows))
    for handle in handles:
        handle.n_reused = known
    if len(rows) > 1:
        require_known(cache)
    tables = SlotTables(core, handles, cache, width)
    # A row that is too long for one pass is alone, so padding never comes in blocks. Where states are kept,
    # it passes whole: not every architecture goes on from a state with more than one token (Jamba does not).
    columns = width if len(rows) > 1 or has_states(cache) else min(width, pass_tokens)
    for start in range(known, width, columns):
        block = slice(start, start + columns)
        layout = BatchLayout(
            whole.positions[:, block], whole.prompts, whole.callers, lengths, finals=whole.finals
        )
        with torch.inference_mode():
            arguments = core.arguments(ids[:, block], layout, whole.positions[:, : block.stop] >= 0)
            tables.logits = core.forward_pass(
                arguments, layout, tables.steps, logits=block.stop >= width, cache=cache, packed=True
            )
        tables.gauge.forget()
        yield tables if block.stop >= width else None

"""How likely a model finds answers that are already there: the log-probability of each of their tokens.

Rows that begin alike share their beginning:

1. What is shared is either the whole prompt, where a prompt has several answers, or as much as neighbours in
   the order of their ids agree on, such as the instructions before unlike questions: whichever leaves fewer
   tokens to pass.
2. Beginnings pass once, side by side, and their last logits tell what follows a whole prompt.
3. Every row gets a line with a copy of its beginning's keys and values, behind which the rest of it passes.

Rows pass whole where little is shared, where something is edited, or where a token's keys and values depend
on more than the tokens before it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.models.generation.cache_select import rearrange_rows
from mindscope.models.generation.kv_cache import growing_cache
from mindscope.models.generation.prefix_cache import prefixes_stand_alone
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.edits import Edit
from mindscope.models.tokens.batch import BatchLayout, left_padded, right_padded
from mindscope.models.tokens.rows import Row

_LOGIT_BYTES = 1 << 28
"""The most that the logits of one batch may take, in float32: a vocabulary of 256,000 makes 1 MB a token."""

_WORTH_SHARING = 0.8
"""The share of all tokens that have to pass, above which rows pass whole: two passes cost more than one."""

_ALIKE = 0.5
"""Of a row's prompt so much is shared at least, where not all of it is."""


def score_answer_tokens(
    model: HookedModel,
    rows: Sequence[Row],
    *,
    edits: Sequence[Edit] = (),
    progress: Callable[[int, int], None] | None = None,
) -> list[Float[Tensor, "_"]]:
    """The log-probability of each answer token given all tokens before it.

    Rows of like lengths pass side by side, as many as memory allows. A row's values do not depend on its
    neighbours beyond rounding.

    Args:
        model: that reads the rows, as it is; edits of an enclosing `edited` block take part.
        rows: prompts with answers.
        edits: applied to every row, at the tokens that each edit's `where` means.
        progress: told how many rows are done, of how many.

    Returns:
        For each row, in order, float32 on the host; empty where the answer is, and the first token of a row
        without a prompt is left out, which nothing comes before.

    Raises:
        ModelError: a row does not fit the model.
    """
    model.check_rows(rows)
    values: list[Tensor] = [torch.zeros(0)] * len(rows)
    done = 0
    shared = None if edits or not prefixes_stand_alone(model) else _share_beginnings(rows)
    for indices in _batches(model, rows) if shared is None else _groups(model, rows, shared):
        batch = [rows[i] for i in indices]
        if shared is None:
            scored = _whole(model, batch, edits)
        else:
            scored = _behind_beginnings(model, batch, [shared[i] for i in indices])
        for i, tokens in zip(indices, scored, strict=True):
            values[i] = tokens
        done += len(batch)
        if progress is not None:
            progress(done, len(rows))
    return values


def _whole(model: HookedModel, batch: Sequence[Row], edits: Sequence[Edit]) -> Iterator[Tensor]:
    """The values of rows that pass as they are."""
    arguments = model.batch(batch)
    # The head runs from the column on that predicts the first answer token of any row.
    start = min(_first_answer(row) for row in batch) - 1
    n_columns = arguments["input_ids"].shape[1] - start
    with torch.inference_mode(), model.edited(list(edits), batch) if edits else nullcontext():
        logits = model.hf(**arguments, use_cache=False, logits_to_keep=n_columns).logits
        for line, row in enumerate(batch):
            first = _first_answer(row)
            columns = slice(first - 1 - start, len(row) - 1 - start)
            yield _log_probabilities(logits[line, columns], row.ids[first:])


def _behind_beginnings(model: HookedModel, batch: Sequence[Row], lengths: Sequence[int]) -> Iterator[Tensor]:
    """The values of rows of which so many tokens pass first, once for all rows that share them."""
    beginnings = [row.ids[:length] for row, length in zip(batch, lengths, strict=True)]
    lines = {beginning: line for line, beginning in enumerate(dict.fromkeys(beginnings))}
    cache = growing_cache(model.hf.config)
    with torch.inference_mode():
        ids, layout = left_padded([Row(beginning, len(beginning)) for beginning in lines])
        first = model.forward_pass(ids, layout, logits=True, cache=cache)
        assert first is not None  # [beginnings, vocabulary]
        # From here on a line is a row. Its last token predicts nothing that is asked for.
        own = np.array([lines[beginning] for beginning in beginnings])
        rearrange_rows(cache, torch.from_numpy(own), 0, ids.shape[1])
        seen = layout.positions[own] >= 0
        rests = [Row(row.ids[n:-1], row.prompt_length - n) for row, n in zip(batch, lengths, strict=True)]
        ids, layout = right_padded(rests)
        later = None
        if ids.shape[1]:
            positions = np.where(layout.positions >= 0, layout.positions + np.array(lengths)[:, None], -1)
            layout = BatchLayout(positions, np.array([row.prompt_length for row in batch]))
            arguments = model.arguments(ids, layout, np.concatenate([seen, positions >= 0], 1))
            later = model.forward_pass(arguments, layout, logits="all", cache=cache)
        for line, (row, rest) in enumerate(zip(batch, rests, strict=True)):
            # The column that predicts the first answer token; -1 is the beginning's last.
            start = rest.prompt_length - 1
            logits = first[own[line], None] if start < 0 else first[:0]
            if later is not None:
                logits = torch.cat([logits, later[line, max(start, 0) : len(rest)]])
            yield _log_probabilities(logits, row.answer)


def _log_probabilities(
    logits: Float[Tensor, "tokens vocabulary"], ids: Sequence[int]
) -> Float[Tensor, "tokens"]:
    targets = torch.tensor(ids, dtype=torch.long, device=logits.device)[:, None]
    return logits.float().log_softmax(-1).gather(-1, targets)[:, 0].cpu()


def _share_beginnings(rows: Sequence[Row]) -> list[int] | None:
    """By row, how many of its tokens pass with those of others; None where rows had better pass whole."""
    answered = [i for i, row in enumerate(rows) if row.answer]
    if not answered or not all(rows[i].prompt_length for i in answered):
        return None
    prompts = [_prompt(row) for row in rows]
    whole = [len(prompt) for prompt in prompts]
    alike = whole.copy()
    group: list[int] = []
    for i in sorted(answered, key=lambda i: prompts[i]):
        n = _agreement(prompts[i], prompts[group[0]][: alike[group[0]]]) if group else 0
        if n < _ALIKE * max(len(prompts[j]) for j in (i, *group[:1])):
            group = []
        group.append(i)
        for j in group:
            alike[j] = n if len(group) > 1 else whole[j]

    def passing(shared: list[int]) -> int:
        beginnings = {prompts[i][: shared[i]] for i in answered}
        return sum(map(len, beginnings)) + sum(len(rows[i]) - shared[i] for i in answered)

    fewest = min(passing(whole), passing(alike))
    if fewest > _WORTH_SHARING * sum(len(rows[i]) for i in answered):
        return None
    return whole if passing(whole) == fewest else alike


def _agreement(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """How many leading ids are the same."""
    pairs = zip(a, b, strict=False)
    return next((n for n, (x, y) in enumerate(pairs) if x != y), min(len(a), len(b)))


def _groups(model: HookedModel, rows: Sequence[Row], shared: Sequence[int]) -> Iterator[list[int]]:
    """Indices of rows that pass together, those of one beginning beside one another, the longest first."""
    most_logits = _LOGIT_BYTES // (4 * model.vocab_size)
    answered = [i for i, row in enumerate(rows) if row.answer]
    order = sorted(answered, key=lambda i: (-shared[i], rows[i].ids[: shared[i]], -len(rows[i])))
    batch: list[int] = []
    width = 0  # of the longest rest
    for i in order:
        rest = len(rows[i]) - shared[i]
        wider, lines = max(width, rest), len(batch) + 1
        tokens = lines * (shared[batch[0] if batch else i] + wider)  # that the cache holds
        if batch and (tokens > model.pass_tokens or lines * wider > most_logits):
            yield batch
            batch, wider = [], rest
        batch.append(i)
        width = wider
    if batch:
        yield batch


def _batches(model: HookedModel, rows: Sequence[Row]) -> Iterator[list[int]]:
    """Indices of rows that pass together, longest first."""
    most_logits = _LOGIT_BYTES // (4 * model.vocab_size)
    order = sorted((i for i, row in enumerate(rows) if row.answer), key=lambda i: -len(rows[i]))
    batch: list[int] = []
    for i in order:
        joined = [*batch, i]
        width = len(rows[joined[0]])
        columns = width - min(_first_answer(rows[j]) for j in joined) + 1  # that get logits
        if batch and (len(joined) * width > model.pass_tokens or len(joined) * columns > most_logits):
            yield batch
            joined = [i]
        batch = joined
    if batch:
        yield batch


def _first_answer(row: Row) -> int:
    """The first token with a probability: nothing comes before the first of a row without a prompt."""
    return max(row.prompt_length, 1)


def _prompt(row: Row) -> tuple[int, ...]:
    return row.ids[: row.prompt_length]

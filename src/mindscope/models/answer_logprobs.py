"""How likely a model finds answers that are already there: the log-probability of each of their tokens.

Answers to one prompt share it:

1. Prompts pass once, side by side, and the logits behind them tell every answer's first token.
2. Every answer gets a line with a copy of its prompt's keys and values, behind which its tokens pass.

Rows pass whole where few prompts have several answers, where something is edited, or where a token's keys and
values depend on more than the tokens before it.
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

_WORTH_SHARING = 0.75
"""Prompts for one answer below which they pass apart: two passes cost more than one of as many tokens."""


def score_answer_tokens(
    model: HookedModel,
    rows: Sequence[Row],
    *,
    edits: Sequence[Edit] = (),
    progress: Callable[[int, int], None] | None = None,
) -> list[Float[Tensor, "answer_tokens"]]:
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
    shares = not edits and _share_prompts(model, rows)
    for indices in _groups(model, rows) if shares else _batches(model, rows):
        batch = [rows[i] for i in indices]
        scored = _behind_prompts(model, batch) if shares else _whole(model, batch, edits)
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


def _behind_prompts(model: HookedModel, batch: Sequence[Row]) -> Iterator[Tensor]:
    """The values of rows whose prompts pass first, each of them once."""
    lines = {prompt: line for line, prompt in enumerate(dict.fromkeys(map(_prompt, batch)))}
    prompts = [Row(prompt, len(prompt)) for prompt in lines]
    cache = growing_cache(model.hf.config)
    with torch.inference_mode():
        ids, layout = left_padded(prompts)
        first = model.forward_pass(ids, layout, logits=True, cache=cache)
        assert first is not None  # [prompts, vocabulary]
        # From here on a line is an answer. Its last token predicts nothing that is asked for.
        own = np.array([lines[_prompt(row)] for row in batch])
        rearrange_rows(cache, torch.from_numpy(own), 0, ids.shape[1])
        seen = layout.positions[own] >= 0
        ids, layout = right_padded([Row(row.answer[:-1], 0) for row in batch])
        rest = None
        if ids.shape[1]:
            lengths = np.array([row.prompt_length for row in batch])
            positions = np.where(layout.positions >= 0, layout.positions + lengths[:, None], -1)
            layout = BatchLayout(positions, lengths)
            arguments = model.arguments(ids, layout, np.concatenate([seen, positions >= 0], 1))
            rest = model.forward_pass(arguments, layout, logits="all", cache=cache)
        for line, row in enumerate(batch):
            logits = first[own[line], None]
            if rest is not None:
                logits = torch.cat([logits, rest[line, : len(row.answer) - 1]])
            yield _log_probabilities(logits, row.answer)


def _log_probabilities(
    logits: Float[Tensor, "tokens vocabulary"], ids: Sequence[int]
) -> Float[Tensor, "tokens"]:
    targets = torch.tensor(ids, dtype=torch.long, device=logits.device)[:, None]
    return logits.float().log_softmax(-1).gather(-1, targets)[:, 0].cpu()


def _share_prompts(model: HookedModel, rows: Sequence[Row]) -> bool:
    """Whether prompts pass apart from their answers."""
    answered = [row for row in rows if row.answer]
    if not all(row.prompt_length for row in answered):
        return False
    n_prompts = len(set(map(_prompt, answered)))
    return n_prompts <= _WORTH_SHARING * len(answered) and prefixes_stand_alone(model)


def _groups(model: HookedModel, rows: Sequence[Row]) -> Iterator[list[int]]:
    """Indices of rows that pass together: those of one prompt beside one another, longest prompts first."""
    most_logits = _LOGIT_BYTES // (4 * model.vocab_size)
    answered = [i for i, row in enumerate(rows) if row.answer]
    order = sorted(answered, key=lambda i: (-rows[i].prompt_length, _prompt(rows[i]), -len(rows[i])))
    batch: list[int] = []
    width = 0  # of the longest answer
    for i in order:
        wider = max(width, len(rows[i].answer))
        lines = len(batch) + 1
        tokens = lines * (rows[batch[0] if batch else i].prompt_length + wider)  # that the cache holds
        if batch and (tokens > model.pass_tokens or lines * wider > most_logits):
            yield batch
            batch, wider = [], len(rows[i].answer)
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

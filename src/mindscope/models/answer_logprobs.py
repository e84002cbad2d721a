"""How likely a model finds answers that are already there: the log-probability of each of their tokens."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.edits import Edit
from mindscope.models.tokens.rows import Row

_LOGIT_BYTES = 1 << 28
"""The most that the logits of one batch may take, in float32: a vocabulary of 256,000 makes 1 MB a token."""


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
    for indices in _batches(model, rows):
        batch = [rows[i] for i in indices]
        arguments = model.batch(batch)
        written = model.edited(list(edits), batch) if edits else nullcontext()
        # The head runs from the column on that predicts the first answer token of any row.
        start = min(_first_answer(row) for row in batch) - 1
        n_columns = arguments["input_ids"].shape[1] - start
        with torch.inference_mode(), written:
            logits = model.hf(**arguments, use_cache=False, logits_to_keep=n_columns).logits
            for line, (i, row) in enumerate(zip(indices, batch, strict=True)):
                first = _first_answer(row)
                if first < len(row):
                    columns = slice(first - 1 - start, len(row) - 1 - start)
                    predictions = logits[line, columns].float().log_softmax(-1)
                    targets = arguments["input_ids"][line, first : len(row), None]
                    values[i] = predictions.gather(-1, targets)[:, 0].cpu()
        done += len(batch)
        if progress is not None:
            progress(done, len(rows))
    return values


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

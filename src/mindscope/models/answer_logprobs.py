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
        with torch.inference_mode(), written:
            logits = model.hf(**arguments, use_cache=False).logits
            for line, (i, row) in enumerate(zip(indices, batch, strict=True)):
                first = max(row.prompt_length, 1)
                if first < len(row):
                    predictions = logits[line, first - 1 : len(row) - 1].float().log_softmax(-1)
                    targets = arguments["input_ids"][line, first : len(row), None]
                    values[i] = predictions.gather(-1, targets)[:, 0].cpu()
        done += len(batch)
        if progress is not None:
            progress(done, len(rows))
    return values


def _batches(model: HookedModel, rows: Sequence[Row]) -> Iterator[list[int]]:
    """Indices of rows that pass together, longest first."""
    tokens = max(1, min(model.pass_tokens, _LOGIT_BYTES // (4 * model.vocab_size)))
    order = sorted((i for i, row in enumerate(rows) if row.answer), key=lambda i: -len(rows[i]))
    while order:
        count = max(1, tokens // max(1, len(rows[order[0]])))
        yield order[:count]
        order = order[count:]

"""Drawing the next token of many rows, each with its own random numbers."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.generation.config import Sampling


def draw_uniforms(
    sampling: Sampling, rows: Sequence[int], seeds: Sequence[int] | None
) -> Float[np.ndarray, "rows steps"]:
    """The random numbers of each row's answer, one a token, independent of every other row.

    Args:
        rows: the rows' indices in the caller's list; with `sampling.seed` they seed a row.
        seeds: one seed for every row of the caller's list, in place of that.
    """
    if seeds is not None and min(seeds, default=0) < 0:
        raise ModelError(f"a seed must be 0 or more, got {min(seeds)}")
    keys = [(sampling.seed, i) if seeds is None else seeds[i] for i in rows]
    return np.stack([np.random.default_rng(key).random(sampling.max_new_tokens, np.float32) for key in keys])


def draw_tokens(
    logits: Float[Tensor, "rows vocabulary"], sampling: Sampling, uniform: Float[Tensor, "rows"]
) -> Int[Tensor, "rows"]:
    """One token a row, by inverting the cumulative distribution at the row's own random number.

    Raises:
        ModelError: the logits hold NaN, or infinity for every token.
    """
    if sampling.temperature == 0:
        top = logits.max(-1)
        _check(top.values)
        return top.indices
    scores = logits.float() / sampling.temperature
    order = None
    if 0 < sampling.top_k < scores.shape[-1]:
        scores, order = scores.topk(sampling.top_k)
    elif sampling.top_p < 1:
        scores, order = scores.sort(descending=True)
    probabilities = scores.softmax(-1)
    if sampling.top_p < 1:
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(before >= sampling.top_p, 0.0)
    cumulative = probabilities.cumsum(-1)
    total = cumulative[:, -1:]
    _check(total)
    # Below the total even after rounding, so that the draw never lands behind the last token.
    target = torch.minimum(uniform[:, None] * total, torch.nextafter(total, torch.zeros_like(total)))
    drawn = torch.searchsorted(cumulative, target, right=True)
    return (drawn if order is None else order.gather(-1, drawn)).squeeze(-1)


def _check(values: Tensor) -> None:
    if not torch.isfinite(values).all():
        raise ModelError(
            "the model's logits are not finite; load it with dtype='float32' or use smaller edit values"
        )

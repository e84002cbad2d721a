"""Drawing the next token of many rows, each with its own random numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.errors import ModelError


@dataclass(frozen=True, slots=True)
class Sampling:
    """How answers are drawn. The defaults are those of the persona paper's rollouts, with shorter answers.

    Attributes:
        temperature: divides the logits; 0 takes the likeliest token.
        top_p: keeps the smallest set of tokens whose probability reaches it.
        top_k: keeps the k likeliest tokens; 0 keeps all.
        max_new_tokens: the most tokens one answer may have.
        seed: together with a row's index, the seed of the row.
        stop: an answer ends before any of these strings.
    """

    temperature: float | int = 1.0
    top_p: float | int = 1.0
    top_k: int = 0
    max_new_tokens: int = 256
    seed: int = 0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ModelError(f"temperature must be 0 or more, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ModelError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.top_k < 0 or self.max_new_tokens < 1:
            raise ModelError("top_k must be 0 or more and max_new_tokens at least 1")
        if self.seed < 0:
            raise ModelError(f"a seed must be 0 or more, got {self.seed}")
        if isinstance(self.stop, str) or not all(self.stop):
            raise ModelError("stop must be a tuple of non-empty strings")


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

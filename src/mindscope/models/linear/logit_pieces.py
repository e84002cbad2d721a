"""Logits in pieces: a pass ends before the head, which then reads a few positions at a time.

The logits of a pass of 16,384 tokens over a vocabulary of 256,000 are 16 GB in float32, and a loss makes
several copies of them. Here the head is given one column in the pass; what it would have read is kept, and
read a piece at a time, so that the memory does not depend on the vocabulary.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.hooks.core import HookedModel
from mindscope.models.tokens.rows import Row

LOGITS_AT_ONCE = 2**23
"""How many logits there are at a time: 32 MB in float32, and as much for each copy that a loss makes."""
SAME = 1e-2
"""How far logits made here may be off the architecture's own, relative to the largest: rounding in half
precision is a third of that."""


@torch.inference_mode()
def read_before_head(model: HookedModel, rows: Sequence[Row]) -> Float[Tensor, "rows columns d_model"]:
    """What the head would read of rows side by side, padded to the right; edits in force hold in this pass.

    Raises:
        ModelError: the logits are made in a way that `make_logits` does not know.
    """
    head: Any = model.engine.arch.lm_head
    seen: list[Tensor] = []

    def keep(_module: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        seen.append(args[0])
        return (args[0][:, -1:], *args[1:])

    handle = head.register_forward_pre_hook(keep)
    try:
        last = model.hf(**model.batch(rows), use_cache=False).logits[:, -1]
    finally:
        handle.remove()
    states = seen[-1]
    made = make_logits(model, states[:, -1])
    if len(seen) != 1 or not (made - last).abs().max() <= SAME * last.abs().max().clamp(min=1.0):
        raise ModelError(
            f"{model.name} ({model.architecture}) makes its logits in a way that is not known here: choose "
            "another model"
        )
    return states


def make_logits(
    model: HookedModel, states: Float[Tensor, "*positions d_model"]
) -> Float[Tensor, "*positions vocabulary"]:
    """The logits of what the head reads, with the family's own factor and soft cap."""
    head: Any = model.engine.arch.lm_head
    logits = head(states)
    if (multiplier := model.engine.logit_multiplier) is not None:
        logits = logits * multiplier
    if (cap := model.engine.final_logit_softcapping) is not None:
        logits = torch.tanh(logits / cap) * cap
    return logits


def split_positions(model: HookedModel, count: int) -> Iterator[slice]:
    """Positions in pieces whose logits are there at once."""
    size = max(1, LOGITS_AT_ONCE // model.vocab_size)
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))

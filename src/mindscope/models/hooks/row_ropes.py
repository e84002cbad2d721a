"""Rotary positions of each row by its own length, in families that take the longest row's for all.

Two kinds of scaling let the frequencies depend on how long a text is: LongRoPE (Phi-3 and Phi-4-mini, arXiv
2402.13753) has one set up to the length of pretraining and another beyond it, dynamic NTK stretches them for
every length beyond it. transformers asks for the largest position of the batch, so a row's activations change
with its neighbours; dynamic NTK also keeps the longest table it ever made, so they change with history; and a
prompt that passes in blocks begins with the wrong set. Here each row has what it has alone:

1. The rotary module runs as it is. Where it chose rightly for all rows, that is all.
2. Otherwise rows are grouped by what they need: up to the seam, beyond it, or every length beyond it.
3. The module is asked anew for each group, with one more column that holds the last position of the group's
   rows, and that column's answer is dropped. A dynamic table is first brought back to its beginning.

Keys that are cached keep the frequencies they were turned with, so a row cannot grow over the seam:
`HookedModel.check_growth` refuses it before it begins.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mindscope.errors import ModelError
from mindscope.models.tokens.batch import BatchLayout
from mindscope.models.tokens.call_layout import name_arguments


def find_length_ropes(trunk: nn.Module) -> tuple[nn.Module, ...]:
    """The rotary modules of a model whose frequencies depend on the length of the text."""
    return tuple(module for module in trunk.modules() if _kinds(module) & {"longrope", "dynamic"})


def find_rope_seam(module: nn.Module) -> int:
    """The most tokens for which a rotary module has the frequencies of short texts."""
    config: Any = module.config
    parameters = config.rope_parameters
    nested = [given for given in parameters.values() if isinstance(given, dict)] or [parameters]
    named = [given["original_max_position_embeddings"] for given in nested if _is_long(given)]
    return min(named) if named else config.max_position_embeddings


@contextmanager
def row_ropes(modules: Sequence[nn.Module], layout: Callable[[], BatchLayout | None]) -> Iterator[None]:
    """In the block each row has the rotary positions that it has alone, in every pass with a layout."""
    handles = [
        module.register_forward_hook(partial(_turn_by_row, layout), with_kwargs=True) for module in modules
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _turn_by_row(
    layout: Callable[[], BatchLayout | None], module: nn.Module, args: tuple, kwargs: dict, output: object
) -> object:
    rows = layout()
    if rows is None or rows.doubt is not None:
        return None
    arguments = name_arguments(module, args, kwargs)
    told, seam = arguments["position_ids"], find_rope_seam(module)
    if not isinstance(told, Tensor) or told.ndim != 2:
        raise ModelError(f"{type(module).__name__} is not given one position a token; read one row at a time")
    told = told.expand(len(rows.positions), -1)
    if rows.lengths is None:
        lengths = np.where(rows.positions >= 0, told.cpu().numpy(), 0).max(1, initial=0) + 1
    else:
        lengths = rows.lengths
    dynamic = "longrope" not in _kinds(module)
    # By row, the length that its frequencies are made for: any up to the seam are alike.
    made_for = np.maximum(lengths, seam) if dynamic else np.where(lengths > seam, seam + 1, seam)
    groups = np.unique(made_for)
    if not dynamic and len(groups) == 1 and (int(told.max()) >= seam) == (groups[0] > seam):
        return None
    tensors = _tensors(output)
    turned = [tensor.new_empty(*told.shape, tensor.shape[-1]) for tensor in tensors]
    for length in groups.tolist():
        lines = torch.from_numpy(np.flatnonzero(made_for == length)).to(told.device)
        longest = length if dynamic or length <= seam else int(lengths.max())
        if dynamic:
            module.forward(**{**arguments, "position_ids": told.new_zeros(1, 1)})
        # Padding may have been given any position: none may be beyond the rows' own.
        asked = torch.cat(
            [told[lines].clamp(max=longest - 1), told.new_full((len(lines), 1), longest - 1)], 1
        )
        answer = module.forward(**{**arguments, "position_ids": asked})
        for whole, part in zip(turned, _tensors(answer), strict=True):
            whole[lines] = part[:, :-1]
    return tuple(turned) if isinstance(output, tuple) else turned[0]


def _tensors(output: Any) -> tuple[Tensor, ...]:
    """Cosines and sines, or in some families one tensor of complex numbers, `[rows, columns, size]`."""
    return output if isinstance(output, tuple) else (output,)


def _kinds(module: nn.Module) -> set[str]:
    kind = getattr(module, "rope_type", None)
    named = kind.values() if isinstance(kind, dict) else (kind,)
    return {"dynamic" if "dynamic" in name else name for name in named if isinstance(name, str)}


def _is_long(parameters: dict[str, Any]) -> bool:
    return parameters.get("rope_type") == "longrope"

"""Which token of which row stands in each column of a forward pass that somebody else makes.

Inside `edited(rows=...)` the model is called by code that is not ours: `hf.generate`, a training loop, a loop
with a cache. A token's position is its index in its row, padding not counted, whatever the model is told.
What a call says about that is believed in this order:

1. A 2-D attention mask has a column for every token so far. It alone shows where padding lies and how many
   tokens a row had before, so positions are counted along it.
2. A 4-D mask, which `generate` makes ahead for static caches, shows the same where it is plainly causal:
   every token sees itself and all real columns before it. Where a window hides older columns it still shows
   which of the new columns are real.
3. Without either nothing is padding. `position_ids` then count the tokens of each row, `cache_position` those
   of all rows.
4. Where nothing is given the cache says how many columns came before; without a cache there were none.

Masks of any other kind, and position ids that begin anew inside a row (several texts packed into one), leave
open which token is meant. Such a pass can only be edited everywhere; any other scope is refused.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mindscope.errors import ModelError
from mindscope.models.tokens.batch import BatchLayout

_PACKED = "its position ids begin anew inside a row, as of texts packed together: give each text a row"
_ODD_MASK = "its attention mask is not plainly causal with padding: give a 2-D attention mask"
_SHORT_MASK = "its attention mask lacks the columns that are cached: give one with a column for every token"
_NO_COUNT = "its cache does not say how many tokens it holds: give an attention mask with a column for each"


def name_arguments(module: nn.Module, args: tuple, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, those included that were given by position."""
    return {**dict(zip(inspect.signature(module.forward).parameters, args, strict=False)), **kwargs}


def layout_of_call(
    arguments: Mapping[str, Any], prompts: np.ndarray | None, finals: np.ndarray | None = None
) -> BatchLayout:
    """The pass of a call made from outside.

    Args:
        arguments: of the trunk's forward, by name.
        prompts: `[rows]` prompt lengths, where the caller said which rows these are.
        finals: `[rows]`, where their final answers begin.

    Raises:
        ModelError: there are no inputs, or other rows than the block was opened for.
    """
    inputs = arguments.get("input_ids")
    inputs = arguments.get("inputs_embeds") if inputs is None else inputs
    if not isinstance(inputs, Tensor):
        raise ModelError("inside this block the model must be called with input_ids or inputs_embeds")
    rows, columns = inputs.shape[:2]
    if prompts is not None and len(prompts) != rows:
        raise ModelError(
            f"a forward pass of {rows} rows inside edited() for {len(prompts)} rows; they must agree"
        )
    shape = (rows, columns)
    told, past = _position_ids(arguments, shape), _cached_columns(arguments)
    mask = arguments.get("attention_mask")
    mask = mask.get("full_attention", next(iter(mask.values()), None)) if isinstance(mask, Mapping) else mask
    if mask is None:
        positions, doubt = _without_mask(told, past, shape)
    elif isinstance(mask, Tensor) and mask.ndim == 2:
        positions, doubt = _along_mask(mask, past, columns)
    elif isinstance(mask, Tensor) and mask.ndim == 4:
        positions, doubt = _along_causal_mask(mask, told, past, shape)
    else:
        positions, doubt = np.broadcast_to(np.arange(columns), shape), _ODD_MASK
    if doubt is None and told is not None and _begins_anew(told, positions):
        doubt = _PACKED
    return BatchLayout(positions, prompts, doubt=doubt, finals=finals)


Positions = tuple[np.ndarray, str | None]
"""`[rows, columns]`, -1 on padding, and why they cannot be relied on; None where they can."""


def _along_mask(mask: Tensor, past: int | None, columns: int) -> Positions:
    values = mask.detach().cpu().numpy()
    real, width = values != 0, values.shape[1]
    # Masks for caches of a fixed size have columns for tokens to come.
    start = width - columns if past is None or width == columns + past else past
    positions = np.where(real, np.cumsum(real, 1) - 1, -1)[:, start : start + columns]
    if positions.shape[1] != columns or (past and width < columns + past):
        return np.broadcast_to(np.arange(columns), (len(values), columns)), _SHORT_MASK
    return positions, _PACKED if values.max(initial=0) > 1 else None  # such a mask numbers packed texts


def _along_causal_mask(
    mask: Tensor, told: np.ndarray | None, past: int | None, shape: tuple[int, int]
) -> Positions:
    rows, columns = shape
    given = mask.detach().cpu()
    seen = given if given.dtype == torch.bool else given > torch.finfo(given.dtype).min / 2
    visible = np.broadcast_to(seen[:, 0].numpy(), (rows, *mask.shape[2:]))  # rows x columns x keys
    unknown = np.broadcast_to(np.arange(columns), shape) if told is None else told
    keys = np.arange(visible.shape[2])
    own = (len(keys) - columns if past is None else past) + np.arange(columns)
    if visible.shape[1] != columns or own[-1] >= len(keys):
        # The cache holds a window alone, whose keys cannot be told apart; but one new token is no padding.
        return unknown, None if columns == 1 and told is not None else _ODD_MASK
    # A real token sees itself; the newest that does sees the other real ones, and no padding.
    itself = visible[:, np.arange(columns), own]
    newest = columns - 1 - itself[:, ::-1].argmax(1)
    real_keys = visible[np.arange(rows), newest] & itself.any(1, keepdims=True)
    real, before = real_keys[:, own], keys <= own[:, None]
    causal = (visible == before & real_keys[:, None])[real].all()
    # Padding sees itself at most, or everything; columns that see others of their like are an earlier text.
    others = (visible & ~real_keys[:, None] & (keys != own[:, None])).any(2) & ~visible.all(2)
    if causal and not others[~real].any():
        return np.where(real, np.cumsum(real_keys, 1)[:, own] - 1, -1), None
    if told is None:
        return unknown, _ODD_MASK
    # Within a window every token sees as many as there were, up to the window, and none that comes later.
    positions = np.where(itself, told, -1)
    n_visible = np.where(itself, visible.sum(2), 0)
    in_window = (n_visible == np.minimum(positions + 1, n_visible.max(initial=0))) & ~(visible & ~before).any(
        2
    )
    return positions, None if in_window[itself].all() else _ODD_MASK


def _without_mask(told: np.ndarray | None, past: int | None, shape: tuple[int, int]) -> Positions:
    if told is not None:
        return told, None
    counted = np.broadcast_to((past or 0) + np.arange(shape[1]), shape)
    return counted, _NO_COUNT if past is None else None


def _position_ids(arguments: Mapping[str, Any], shape: tuple[int, int]) -> np.ndarray | None:
    """What the model is told about positions, `[rows, columns]`."""
    for name in ("position_ids", "cache_position"):
        given = arguments.get(name)
        if isinstance(given, Tensor):
            # Families that place images have an axis before: text counts alike along all of them.
            flat = given[0] if given.ndim == 3 else given
            if flat.shape[-1] == shape[1]:
                return np.broadcast_to(flat.detach().cpu().numpy(), shape)
    return None


def _cached_columns(arguments: Mapping[str, Any]) -> int | None:
    """How many columns came before; None where the cache does not say."""
    caches = [arguments.get(name) for name in ("past_key_values", "cache_params")]
    cache: Any = next((cache for cache in caches if cache is not None), None)
    if cache is None:
        return 0
    try:
        return int(cache.get_seq_length())
    except (ValueError, AttributeError):  # recurrent states alone have no columns
        return None


def _begins_anew(told: np.ndarray, positions: np.ndarray) -> bool:
    """Whether what the model is told does not go up by one from each real column to the next."""
    steps, real = np.diff(told, axis=1), positions >= 0
    return bool(((steps != 1) & real[:, 1:] & real[:, :-1]).any())

"""The logits behind many continuations of many prompts, on the prompts' caches, which are not copied.

1. The beginning that the prompts share passes through the model once. Its columns are handed to every
   prompt's line, and the rest of the prompts passes behind them side by side.
2. A branch is one token behind a prompt or behind another branch. The branches of a prompt stand in columns
   of its own line: a pass of n columns takes n branches of every prompt.
3. Which columns a token sees is told by positions and ancestors and not by where the columns lie: those of
   its prompt, of the branches above it and its own; in a layer with a window those within it. Siblings have
   the same position and never see each other (tree attention, as in SpecInfer, arXiv 2305.09781).
4. Branches are forgotten when what lies below them is done, so the cache grows by one path of passes.

Recurrent states have no columns, and ALiBi counts columns instead of positions. For such models a branch is a
line with a copy of its parent's state, `_LINES` at a time.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

from mindscope.models.generation.cache_select import has_states, rearrange_rows, require_known
from mindscope.models.generation.kv_cache import BlockLayer, growing_cache
from mindscope.models.hooks.core import HookedModel
from mindscope.models.tokens.batch import BatchLayout, left_padded
from mindscope.models.tokens.rows import Row

_LINES = 64
"""Most branches side by side where each has a copy of its prompt's cache: it bounds their memory."""

_LOGITS = 2**23
"""Most logits of one pass: 32 MB in float32, 55 branches of a vocabulary of 152,000."""


@dataclass(frozen=True, slots=True, eq=False)
class AnswerBranch:
    """One token behind a prompt, or behind another branch.

    Attributes:
        prompt: the index of the prompt.
        parent: the branch before it; None behind the prompt itself.
        token: its id.
    """

    prompt: int
    parent: "AnswerBranch | None"
    token: int

    @property
    def path(self) -> list["AnswerBranch"]:
        """The branches above it, and itself at last."""
        return [*(self.parent.path if self.parent is not None else ()), self]


class PromptBranches:
    """Prompts that have passed through a model, and branches behind them. See the module's text.

    Attributes:
        logits: `[prompts, vocabulary]`, behind the prompts.
    """

    def __init__(
        self, core: HookedModel, prompts: Sequence[Sequence[int]], beginning: DynamicCache | None = None
    ):
        self._core = core
        self._cache = growing_cache(core.hf.config)
        self._in_columns = takes_tree_masks(core)
        self._lines: list[dict[AnswerBranch, int]] = []  # of the copies, the latest last
        if self._in_columns:
            for index in range(len(self._cache.layers)):
                self._cache.layers[index] = BlockLayer()
        n_shared = 0
        if beginning is not None and self._in_columns:
            n_shared = beginning.get_seq_length()
            self._share(beginning, len(prompts))
        elif len(prompts) > 1:
            require_known(self._cache)
        rows = [Row(tuple(prompt[n_shared:]), len(prompt) - n_shared) for prompt in prompts]
        ids, layout = left_padded(rows)
        positions = np.where(layout.positions >= 0, layout.positions + n_shared, -1)
        shared = np.broadcast_to(np.arange(n_shared), (len(rows), n_shared))
        self._positions = np.concatenate([shared, positions], 1)
        self._columns: dict[AnswerBranch, int] = {}
        self._lengths = np.array([len(prompt) for prompt in prompts])
        if self._in_columns:
            seen = self._positions[:, None] <= positions[..., None]
            logits = self._pass(ids, positions, seen & (self._positions >= 0)[:, None])
        else:
            with torch.inference_mode():
                arguments = core.arguments(ids, layout, layout.positions >= 0)
                logits = core.forward_pass(arguments, layout, logits=True, cache=self._cache)
        assert logits is not None
        self.logits: Float[Tensor, "prompts vocabulary"] = logits

    def batches(self, branches: Sequence[AnswerBranch]) -> Iterator[list[AnswerBranch]]:
        """The same branches in as many as pass side by side."""
        if not self._in_columns:
            for start in range(0, len(branches), _LINES):
                yield list(branches[start : start + _LINES])
            return
        n_columns = max(1, _LOGITS // self._core.engine.vocab_size // len(self._lengths))
        of_prompt: dict[int, list[AnswerBranch]] = {}
        for branch in branches:
            of_prompt.setdefault(branch.prompt, []).append(branch)
        for start in range(0, max(map(len, of_prompt.values()), default=0), n_columns):
            yield [branch for own in of_prompt.values() for branch in own[start : start + n_columns]]

    @contextmanager
    def grown(self, branches: Sequence[AnswerBranch]) -> Iterator[Float[Tensor, "branches vocabulary"]]:
        """The logits behind branches whose parents are grown; inside the block others may grow from them.

        Raises:
            ModelError: a prompt with its branch would pass the length at which rotary positions change.
        """
        for branch in branches:
            self._core.check_growth(int(self._lengths[branch.prompt]), len(branch.path))
        with self._grown_in_columns(branches) if self._in_columns else self._copied(branches) as logits:
            yield logits

    @contextmanager
    def _grown_in_columns(self, branches: Sequence[AnswerBranch]) -> Iterator[Tensor]:
        before = self._positions.shape[1]
        taken = np.zeros(len(self._lengths), np.int64)
        for branch in branches:
            self._columns[branch] = before + int(taken[branch.prompt])
            taken[branch.prompt] += 1
        n_columns = int(taken.max())
        ids = np.zeros((len(self._lengths), n_columns), np.int64)
        positions = np.full(ids.shape, -1)
        # A branch sees its prompt's columns; of the columns of branches its own and those above it.
        prompt_columns = self._positions >= 0
        for column in self._columns.values():
            if column < before:
                prompt_columns[:, column] = False
        seen = np.zeros((*ids.shape, before + n_columns), bool)
        for branch in branches:
            line, column, path = branch.prompt, self._columns[branch] - before, branch.path
            ids[line, column] = branch.token
            positions[line, column] = self._lengths[line] + len(path) - 1
            seen[line, column, :before] = prompt_columns[line]
            seen[line, column, [self._columns[above] for above in path]] = True
        earlier = self._positions
        self._positions = np.concatenate([self._positions, positions], 1)
        try:
            logits = self._pass(ids, positions, seen, every_column=True)
            yield logits[
                [branch.prompt for branch in branches],
                [self._columns[branch] - before for branch in branches],
            ]
        finally:
            self._positions = earlier
            for branch in branches:
                del self._columns[branch]
            for layer in _block_layers(self._cache):
                if layer.get_seq_length() > before:
                    layer.crop(before - layer.get_seq_length())

    @contextmanager
    def _copied(self, branches: Sequence[AnswerBranch]) -> Iterator[Tensor]:
        cache = self._cache
        lines = [
            self._lines[-1][branch.parent] if branch.parent is not None else branch.prompt
            for branch in branches
        ]
        lengths = np.array([self._lengths[branch.prompt] + len(branch.path) for branch in branches])
        columns = int(self._lengths.max()) + len(branches[0].path)
        own = copy.copy(cache)
        own.layers = [_shallow(layer) for layer in cache.layers]
        rearrange_rows(own, torch.tensor(lines), 0, columns - 1)
        layout = BatchLayout(lengths[:, None] - 1, lengths)
        ids = np.array([[branch.token] for branch in branches])
        with torch.inference_mode():
            arguments = self._core.arguments(ids, layout, np.arange(columns) >= columns - lengths[:, None])
            logits = self._core.forward_pass(arguments, layout, logits=True, cache=own)
        assert logits is not None
        self._cache = own
        self._lines.append({branch: line for line, branch in enumerate(branches)})
        try:
            yield logits
        finally:
            self._cache = cache
            self._lines.pop()

    def _pass(
        self, ids: np.ndarray, positions: np.ndarray, seen: np.ndarray, *, every_column: bool = False
    ) -> Tensor:
        """The logits of a pass in which each token sees these columns."""
        n_columns = ids.shape[1]
        own = np.arange(n_columns)
        seen[:, own, seen.shape[2] - n_columns + own] = True  # padding too: a softmax of nothing is NaN
        device = self._core.device
        masks = _masks(self._core.hf, seen, positions, self._positions, self._core.dtype, device)
        arguments: dict[str, Any] = {
            "input_ids": torch.from_numpy(ids).to(device),
            "position_ids": torch.from_numpy(np.maximum(positions, 0)).to(device),
            "attention_mask": masks,
        }
        layout = BatchLayout(positions, self._lengths)
        with torch.inference_mode():
            logits = self._core.forward_pass(
                arguments, layout, logits="all" if every_column else True, cache=self._cache
            )
        assert logits is not None
        return logits

    def _share(self, beginning: DynamicCache, n_lines: int) -> None:
        for layer, shared in zip(_block_layers(self._cache), _block_layers(beginning), strict=True):
            if shared.keys is not None and shared.values is not None:
                layer.lazy_initialization(shared.keys, shared.values)
                keys, values = (held.expand(n_lines, -1, -1, -1) for held in (shared.keys, shared.values))
                layer.refill(keys, values)


def takes_tree_masks(core: HookedModel) -> bool:
    """Whether a model attends by positions and the mask alone, so that columns may lie anywhere."""
    config = core.hf.config.get_text_config()
    plain = all(hasattr(layer, "keys") for layer in growing_cache(config).layers)
    by_columns = getattr(config, "alibi", False) or not core.takes_positions
    attention = core.hf.config._attn_implementation in ("sdpa", "eager")
    return plain and attention and not by_columns and not has_states(growing_cache(config))


def cache_beginning(core: HookedModel, ids: Sequence[int]) -> DynamicCache | None:
    """The cache of what all prompts begin with; None where nothing is shared.

    Nor is anything where positions of the beginning depend on how long the whole prompt is.
    """
    if not ids or core.length_ropes or not takes_tree_masks(core):
        return None
    return PromptBranches(core, [ids])._cache


def _masks(
    hf: Any,
    seen: np.ndarray,
    positions: np.ndarray,
    key_positions: np.ndarray,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor | dict[str, Tensor]:
    """The attention mask, or one for each kind of layer, `[lines, 1, columns, all columns]`."""
    config = hf.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    distance = positions[:, :, None] - key_positions[:, None]
    window, chunk = (getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size"))
    within = {"full_attention": seen}
    if window is not None:
        within["sliding_attention"] = seen & (distance < window)
    if chunk is not None:
        same = positions[:, :, None] // chunk == key_positions[:, None] // chunk
        within["chunked_attention"] = seen & same

    def made(mask: np.ndarray) -> Tensor:
        flags = torch.from_numpy(mask).to(device)[:, None]
        if hf.config._attn_implementation == "sdpa":
            return flags
        return torch.zeros(flags.shape, dtype=dtype, device=device).masked_fill(
            ~flags, torch.finfo(dtype).min
        )

    if len(kinds) > 1:
        return {kind: made(within[kind]) for kind in kinds}
    kind = next(iter(kinds)) if kinds else "sliding_attention" if window is not None else "full_attention"
    return made(within[kind])


def _block_layers(cache: DynamicCache) -> list[BlockLayer]:
    return [layer for layer in cache.layers if isinstance(layer, BlockLayer)]


def _shallow(layer: Any) -> Any:
    """A layer with tensors of its own to be replaced, and none of them copied yet."""
    own = copy.copy(layer)
    for name in ("conv_states", "recurrent_states"):
        if hasattr(own, name):
            setattr(own, name, dict(getattr(own, name)))
    return own

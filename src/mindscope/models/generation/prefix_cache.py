"""Keys and values of prompts that begin alike, so that the same beginning passes through the model once.

What a layer keeps of a token depends on the tokens up to it and on what was edited there. So an entry is
found by both: by its token ids, as far as they agree, and by the edits that touch tokens of the prompt.
Prompts under different steering share nothing, unless the steering begins with the answer.

1. The last token of a prompt always passes: its logits, readings and edits are of this request.
2. Of an entry any number of leading tokens can be used, as far as two prompts agree.
3. A model whose layers keep states or windows, or whose rotary positions depend on the row's length, has no
   leading part that stands for itself: there nothing is kept. Nor is anything used for a request that reads
   tokens of its prompt before the last.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from mindscope.errors import ModelError
from mindscope.models.generation.kv_cache import BlockLayer, growing_cache
from mindscope.models.generation.request import GenerationRequest
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.edits import Edit
from mindscope.models.tokens.rows import AnswerTokens

EditsKey = tuple[object, ...]

_LEAST = 8
"""Tokens: a shorter beginning costs more to copy than to pass."""

_LATE = ("answer", "response", "last_prompt", "reasoning", "final")
"""Positions that hold no token of a prompt before its last."""


@dataclass(frozen=True, slots=True, eq=False)
class _PrefixEntry:
    """The beginning of a prompt: its ids, and by layer its keys and values, `[1, heads, tokens, size]`."""

    ids: np.ndarray
    columns: tuple[tuple[Tensor, Tensor], ...]


@dataclass(frozen=True, slots=True, eq=False)
class PromptPrefix:
    """The leading tokens of a prompt that need not pass again."""

    entry: _PrefixEntry
    n_tokens: int

    def fill(self, cache: DynamicCache, n_rows: int) -> None:
        """Let a new cache begin with these tokens in every row."""
        for layer, (keys, values) in zip(cache.layers, self.entry.columns, strict=True):
            assert isinstance(layer, BlockLayer)
            parts = [part[:, :, : self.n_tokens].expand(n_rows, -1, -1, -1) for part in (keys, values)]
            layer.lazy_initialization(*parts)
            layer.refill(*parts)


class PrefixCache:
    """The beginnings of the latest prompts.

    Args:
        max_tokens: how many tokens are kept, over all entries; the longest unused go first.

    Raises:
        ModelError: it could hold nothing.
    """

    def __init__(self, max_tokens: int):
        if max_tokens < 1:
            raise ModelError(f"a prefix cache holds 1 token or more, got {max_tokens}")
        self.max_tokens = max_tokens
        self._entries: OrderedDict[tuple[EditsKey, bytes], _PrefixEntry] = OrderedDict()

    @property
    def n_tokens(self) -> int:
        """How many tokens it holds."""
        return sum(len(entry.ids) for entry in self._entries.values())

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def find(self, core: HookedModel, request: GenerationRequest) -> PromptPrefix | None:
        """The longest beginning of a request's prompt that is known under its edits."""
        if not self._entries or not prefixes_stand_alone(core) or _reads_prompt(request):
            return None
        key, ids = prompt_edits(request.edits), np.array(request.row.ids[: request.row.prompt_length - 1])
        best, name = 0, None
        for (edits, digest), entry in self._entries.items():
            if edits == key and (n_shared := _agreement(entry.ids, ids)) > best:
                best, name = n_shared, (edits, digest)
        if name is None or best < _LEAST:
            return None
        self._entries.move_to_end(name)
        return PromptPrefix(self._entries[name], best)

    def keep(self, core: HookedModel, requests: Sequence[GenerationRequest], cache: DynamicCache) -> None:
        """Remember the prompts that have just passed, which stand right-aligned in a cache of their own."""
        if not prefixes_stand_alone(core) or not all(isinstance(layer, BlockLayer) for layer in cache.layers):
            return
        for line, request in enumerate(requests):
            row = request.row
            ids = np.array(row.ids[: row.prompt_length - 1])
            key = prompt_edits(request.edits)
            if not _LEAST <= len(ids) <= self.max_tokens or self._knows(key, ids):
                continue
            columns: list[tuple[Tensor, Tensor]] = []
            for layer in cache.layers:
                assert isinstance(layer, BlockLayer)
                keys, values = layer.keys, layer.values
                assert keys is not None
                assert values is not None
                start = keys.shape[-2] - len(row)
                own = slice(start, start + len(ids))
                columns.append(
                    (keys[line : line + 1, :, own].clone(), values[line : line + 1, :, own].clone())
                )
            self._entries[key, ids.tobytes()] = _PrefixEntry(ids, tuple(columns))
            while self.n_tokens > self.max_tokens:
                self._entries.popitem(last=False)

    def _knows(self, key: EditsKey, ids: np.ndarray) -> bool:
        """Whether a whole beginning is part of an entry. Entries that are part of it are dropped."""
        for name, entry in list(self._entries.items()):
            if name[0] != key:
                continue
            n_shared = _agreement(entry.ids, ids)
            if n_shared == len(ids):
                return True
            if n_shared == len(entry.ids):
                del self._entries[name]
        return False


def prompt_edits(edits: Sequence[Edit]) -> EditsKey:
    """What names the edits of the tokens of a prompt before its last."""
    return tuple(
        (edit.address, edit.op, float(edit.value), _digest(edit.vector), edit.where)
        for edit in edits
        if not isinstance(edit.where, AnswerTokens) and edit.where not in _LATE
    )


def prefix_cache_of(core: HookedModel, prefix: PromptPrefix, n_rows: int) -> DynamicCache:
    """A new cache whose rows all begin with a prefix."""
    cache = growing_cache(core.hf.config)
    with torch.inference_mode():
        prefix.fill(cache, n_rows)
    return cache


def prefixes_stand_alone(core: HookedModel) -> bool:
    """Whether a token's keys and values depend on nothing but the tokens before it."""
    known = core.derived.get("prefixes stand alone")
    if known is None:
        layers = growing_cache(core.hf.config).layers
        known = bool(layers) and all(type(layer) is BlockLayer for layer in layers)
        known = core.derived["prefixes stand alone"] = known and not core.length_ropes
    return bool(known)


def _reads_prompt(request: GenerationRequest) -> bool:
    watched = request.controller.reads.values() if request.controller is not None else ()
    wheres = [read.reduce.where for read in (*request.reads.values(), *watched)]
    return any(not isinstance(where, AnswerTokens) and where not in _LATE for where in wheres)


def _agreement(a: np.ndarray, b: np.ndarray) -> int:
    """How many leading ids are the same."""
    n = min(len(a), len(b))
    differs = a[:n] != b[:n]
    return int(differs.argmax()) if differs.any() else n


def _digest(vector: Tensor) -> bytes:
    values = vector.detach().float().cpu().contiguous().numpy().tobytes()
    return hashlib.blake2b(values, digest_size=16).digest()

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
from mindscope.models.generation.kv_cache import BlockLayer, growing_cache, plain_cache
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
    """The beginning of a prompt: by layer its keys and values, `[1, heads, tokens, size]`."""

    columns: tuple[tuple[Tensor, Tensor], ...]

    @property
    def n_tokens(self) -> int:
        """How many tokens it has."""
        return self.columns[0][0].shape[-2]


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


class _PrefixIndex:
    """The prompts that are known under the same edits, a line of ids each: all are compared at once."""

    def __init__(self):
        self.names: list[bytes | None] = []  # None: the line is free
        self._lines = np.empty((0, 0), dtype=np.int64)  # padded with -1, which is nobody's id
        self._lengths = np.empty(0, dtype=np.int64)

    def put(self, name: bytes, ids: np.ndarray) -> None:
        """One more prompt."""
        if None not in self.names:
            self._grow(max(8, 2 * len(self.names)), self._lines.shape[1])
        if len(ids) > self._lines.shape[1]:
            self._grow(len(self.names), 2 * len(ids))
        line = self.names.index(None)
        self.names[line] = name
        self._lines[line] = -1
        self._lines[line, : len(ids)] = ids
        self._lengths[line] = len(ids)

    def drop(self, name: bytes) -> None:
        """A prompt is known no more."""
        line = self.names.index(name)
        self.names[line] = None
        self._lines[line] = -1
        self._lengths[line] = 0

    def agreements(self, ids: np.ndarray) -> np.ndarray:
        """How many leading ids each line shares."""
        n = min(len(ids), self._lines.shape[1])
        differs = np.ones(
            (len(self._lines), n + 1), dtype=bool
        )  # the last column ends those that agree so far
        np.not_equal(self._lines[:, :n], ids[:n], out=differs[:, :n])
        return differs.argmax(1)

    def covered(self, shared: np.ndarray) -> list[bytes]:
        """The prompts that agree to their last id."""
        whole = (shared == self._lengths) & (self._lengths > 0)
        return [name for line in np.flatnonzero(whole) if (name := self.names[line]) is not None]

    def _grow(self, n_lines: int, n_columns: int) -> None:
        lines = np.full((n_lines, n_columns), -1, dtype=np.int64)
        lines[: len(self._lines), : self._lines.shape[1]] = self._lines
        self._lengths = np.append(self._lengths, np.zeros(n_lines - len(self._lengths), dtype=np.int64))
        self._lines = lines
        self.names += [None] * (n_lines - len(self.names))


class PrefixCache:
    """The beginnings of the latest prompts.

    Args:
        max_tokens: how many tokens are kept, over all entries; the longest unused go first.

    Attributes:
        n_tokens: how many tokens it holds.

    Raises:
        ModelError: it could hold nothing.
    """

    def __init__(self, max_tokens: int):
        if max_tokens < 1:
            raise ModelError(f"a prefix cache holds 1 token or more, got {max_tokens}")
        self.max_tokens = max_tokens
        self.n_tokens = 0
        self._entries: OrderedDict[tuple[EditsKey, bytes], _PrefixEntry] = OrderedDict()
        self._indices: dict[EditsKey, _PrefixIndex] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._indices.clear()
        self.n_tokens = 0

    def find(self, core: HookedModel, request: GenerationRequest) -> PromptPrefix | None:
        """The longest beginning of a request's prompt that is known under its edits."""
        if not self._entries or not prefixes_stand_alone(core) or _reads_prompt(request):
            return None
        key, ids = prompt_edits(request.edits), np.array(request.row.ids[: request.row.prompt_length - 1])
        if (index := self._indices.get(key)) is None:
            return None
        shared = index.agreements(ids)
        line = int(shared.argmax())
        if shared[line] < _LEAST:
            return None
        name = index.names[line]
        assert name is not None
        self._entries.move_to_end((key, name))
        return PromptPrefix(self._entries[key, name], int(shared[line]))

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
            name = ids.tobytes()
            self._entries[key, name] = _PrefixEntry(tuple(columns))
            self._indices.setdefault(key, _PrefixIndex()).put(name, ids)
            self.n_tokens += len(ids)
            while self.n_tokens > self.max_tokens:
                self._drop(*next(iter(self._entries)))

    def _knows(self, key: EditsKey, ids: np.ndarray) -> bool:
        """Whether a whole beginning is part of an entry. Entries that are part of it are dropped."""
        if (index := self._indices.get(key)) is None:
            return False
        shared = index.agreements(ids)
        if (shared == len(ids)).any():
            return True
        for name in index.covered(shared):
            self._drop(key, name)
        return False

    def _drop(self, key: EditsKey, name: bytes) -> None:
        entry, index = self._entries.pop((key, name)), self._indices[key]
        self.n_tokens -= entry.n_tokens
        index.drop(name)
        if not any(index.names):
            del self._indices[key]


def prompt_edits(edits: Sequence[Edit]) -> EditsKey:
    """What names the edits of the tokens of a prompt before its last."""
    return tuple(
        (edit.address, edit.op, float(edit.value), _digest(edit.vector), edit.where)
        for edit in edits
        if not isinstance(edit.where, AnswerTokens) and edit.where not in _LATE
    )


def prefix_cache_of(core: HookedModel, prefix: PromptPrefix, n_rows: int) -> DynamicCache:
    """A new cache whose rows all begin with a prefix."""
    cache = empty_cache(core)
    with torch.inference_mode():
        prefix.fill(cache, n_rows)
    return cache


def prefixes_stand_alone(core: HookedModel) -> bool:
    """Whether a token's keys and values depend on nothing but the tokens before it."""
    return _n_plain_layers(core) > 0 and not core.length_ropes


def empty_cache(core: HookedModel) -> DynamicCache:
    """A cache for a model through which nothing has passed."""
    n_layers = _n_plain_layers(core)
    return plain_cache(n_layers) if n_layers else growing_cache(core.hf.config)


def _n_plain_layers(core: HookedModel) -> int:
    """How many layers the model has, where all attend to every column before them; 0 elsewhere."""
    n_layers = core.derived.get("plain layers")
    if not isinstance(n_layers, int):
        layers = growing_cache(core.hf.config).layers
        n_layers = len(layers) if all(type(layer) is BlockLayer for layer in layers) else 0
        core.derived["plain layers"] = n_layers
    return n_layers


def _reads_prompt(request: GenerationRequest) -> bool:
    watched = request.controller.reads.values() if request.controller is not None else ()
    wheres = [read.reduce.where for read in (*request.reads.values(), *watched)]
    return any(not isinstance(where, AnswerTokens) and where not in _LATE for where in wheres)


def _digest(vector: Tensor) -> bytes:
    values = vector.detach().float().cpu().contiguous().numpy().tobytes()
    return hashlib.blake2b(values, digest_size=16).digest()

"""The model's moving parts, shared by reading and generating: places, checks and the forward pass."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from threading import RLock
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.hooks import hook_points as addresses
from mindscope.models.hooks.attach import (
    ActivationTap,
    ActiveEdits,
    ambient_edits,
    attached,
    watch_activations,
)
from mindscope.models.hooks.decode_attention import decoding
from mindscope.models.hooks.edits import CompiledEdits, Edit
from mindscope.models.hooks.hook_points import HookPoint
from mindscope.models.hooks.model_facts import ModelFacts, in_eval
from mindscope.models.hooks.packed_products import PackedProducts
from mindscope.models.hooks.row_ropes import row_ropes
from mindscope.models.tokens.batch import BatchLayout, PositionIndex, prompts_and_finals, right_padded
from mindscope.models.tokens.reasoning import ReasoningTracker
from mindscope.models.tokens.rows import Row

Edits = Sequence[Edit] | Sequence[Sequence[Edit]]
"""One list for every row, or one list per row."""


class HookedModel(ModelFacts):
    """A loaded model and its lock.

    Threads may share a model. Hooks hang on it for one forward pass at a time, under a lock, so readers and
    generators in several threads take turns pass by pass and never see each other's edits. An `edited` block
    holds the lock from beginning to end; a thread that calls `hf` itself while others edit does so in an
    `edited` block too, be it an empty one.
    """

    def __init__(self, hf: Any, tokenizer: Any, name: str):
        super().__init__(hf, tokenizer, name)
        self._lock = RLock()
        self._places: dict[str, HookPoint] = {}
        self._widths: dict[str, int] = {}
        self.derived: dict[str, object] = {}  # what other files found out about the weights, once
        self._passing = _CurrentPass()
        self.products = PackedProducts(hf)

    def tracker(self, row: Row) -> ReasoningTracker | None:
        """What tells the reasoning in an answer to this row from its final part while it is written."""
        return None

    @property
    def current_pass(self) -> BatchLayout | None:
        """The forward pass that one of our own methods is making just now; None outside of them."""
        return self._passing.layout

    def place(self, address: str) -> HookPoint:
        """The place an address names; ModelError where there is none."""
        if address not in self._places:
            self._places[address] = addresses.find_hook_point(self.engine, address)
        return self._places[address]

    def width(self, place: HookPoint) -> int:
        """The size of a place's vectors; found with a forward pass of one token where no table knows it."""
        if place.width is not None:
            return place.width
        if place.address not in self._widths:
            seen = _WidthProbe()
            with torch.inference_mode():
                self.forward_pass(
                    np.array([[0]]),
                    BatchLayout(np.array([[0]]), np.array([1])),
                    [[ActivationTap(place, "all", seen.take)]],
                    logits=False,
                    early=True,
                )
            self._widths[place.address] = seen.width
        return self._widths[place.address]

    def width_of(self, address: str) -> int:
        """The size of the vectors at an address; ModelError where it leads nowhere."""
        return self.width(self.place(address))

    def edits_of(self, edits: Edits | None, rows: int) -> Sequence[Sequence[Edit]] | None:
        """One list of edits per row, or None where nothing is edited."""
        if not edits:
            return None
        flat = [edit for edit in edits if isinstance(edit, Edit)]
        if flat:
            return [flat] * rows
        if len(edits) != rows:
            raise ModelError(f"{len(edits)} lists of edits for {rows} rows; give one list per row")
        return [row for row in edits if not isinstance(row, Edit)]

    def program(self, edits: Sequence[Sequence[Edit]]) -> CompiledEdits:
        """Compile checked edits, one list per row of a batch."""
        self.check_edits(edit for row in edits for edit in row)
        return CompiledEdits(edits, self.place, self.device)

    def check_edits(self, edits: Iterable[Edit]) -> None:
        """Refuse edits that do not fit the model: a wrong width, or a place that cannot be written."""
        for address, width in {(edit.address, edit.vector.shape[0]) for edit in edits}:
            place = self.place(address)
            if width != self.width(place):
                raise ModelError(
                    f"a vector of width {width} cannot be written at {address}, which is "
                    f"{self.width(place)} wide; use a vector made for this model"
                )
            if place.part is not None or ":" in place.side:
                raise ModelError(
                    f"{address} can be read but not written in this model; edit resid_post instead"
                )

    def check_rows(self, rows: Sequence[Row], *, filled: bool = False, new: int = 0) -> None:
        """Refuse rows the model cannot take: foreign ids, too long with `new` more tokens, or empty."""
        size, most = self.engine.vocab_size, self.context_length
        for i, row in enumerate(rows):
            if row.ids and not 0 <= min(row.ids) <= max(row.ids) < size:
                raise ModelError(
                    f"row {i} has a token id outside the vocabulary of {size}; tokenize it for this model"
                )
            if filled and not row.ids:
                raise ModelError(f"row {i} is empty; a prompt needs at least one token")
            if most is not None and len(row) + new > most:
                raise ModelError(f"row {i} has {len(row)} tokens, the model takes {most - new}; shorten it")

    def check_growth(self, n_tokens: int, n_new: int) -> None:
        """Refuse a row that would grow over the length at which the model's rotary positions change."""
        seam = self.rope_seam
        if seam is not None and n_tokens <= seam < n_tokens + n_new:
            raise ModelError(
                f"a row of {n_tokens} tokens with {n_new} new ones would pass {seam}, where {self.name} "
                f"turns all earlier tokens anew: ask for at most {seam - n_tokens} new tokens"
            )

    def batch(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """Right-padded arguments for a forward pass of one's own: `model.hf(**model.batch(rows))`.

        Where rotary positions depend on the longest row (LongRoPE, dynamic NTK), each row has its own inside
        an `edited` block, be it an empty one.
        """
        self.check_rows(rows)
        ids, layout = right_padded(rows)
        return self.arguments(ids, layout, layout.positions >= 0)

    @contextmanager
    def edited(self, edits: Edits, rows: Sequence[Row] | None = None) -> Iterator[ActiveEdits]:
        """Apply edits in every forward pass inside the block: of this model's methods, and of one's own.

        Gradients flow through the edits. Under activation checkpointing `backward` belongs inside the block
        too, because parts of the forward pass run again there. Where tokens stand in a call is taken from its
        attention mask, position ids or cache, see `call_layout.py`; padding that a mask tells is never
        edited. No hook stays behind, whatever is raised inside.

        Args:
            edits: one list, for every row; with `rows`, one list per row is possible too.
            rows: the rows of one's own forward passes (`model.hf(**model.batch(rows))`), without which only
                `where="all"` and explicit positions are known there.

        Yields:
            An `ActiveEdits`, which tells whether all edits hold, and can leave some out for a while.

        Raises:
            ModelError: an edit does not fit the model, or a call inside does not say which of its tokens the
                edit's `where` means.
        """
        per_row = any(not isinstance(edit, Edit) for edit in edits)
        if per_row and rows is None:
            raise ModelError("edits of single rows need rows=, the rows of the forward passes in the block")
        lists = self.edits_of(edits, len(rows) if per_row and rows is not None else 1)
        prompts, finals = (None, None) if rows is None else prompts_and_finals(rows)
        apart = {edit.where for own in lists or [] for edit in own} & {"reasoning", "final"}
        if apart and any(row.final_start == len(row) and self.tracker(row) for row in rows or []):
            raise ModelError(
                f"an edit at {apart.pop()!r} of an answer that is still to come: give generate() edits="
            )
        with (
            self._lock,
            ambient_edits(
                self.engine,
                self.length_ropes,
                lambda: self.program(lists or []),
                lambda: self._passing.layout,
                prompts,
                finals,
                own_passes=not per_row,
            ) as editing,
        ):
            yield editing

    @contextmanager
    def watched(self, *addresses: str) -> Iterator[dict[str, Tensor]]:
        """Hand out what passes by in forward passes of one's own, with its gradient, by address.

        The dictionary always holds the latest pass: `[rows, columns, width]`, padding included. Opened inside
        an `edited` block it holds the edited activations. Between two blocks of the residual stream,
        `passed_on.12` is what the block after 12 (the final norm, after the last one) takes in: the same
        tensor as `resid_post.12`, taken up elsewhere, which is how a write there can be checked.

        Raises:
            ModelError: an address is not a place in this model, or has not one vector per token.
        """
        with (
            self._lock,
            watch_activations({address: self._watched_place(address) for address in addresses}) as seen,
        ):
            yield seen

    def _watched_place(self, address: str) -> HookPoint:
        point, _, layer = address.partition(".")
        if point != "passed_on" or not layer.isdecimal():
            return self.place(address)
        return self.passed_on_place(int(layer))

    def passed_on_place(self, layer: int) -> HookPoint:
        """What takes up the output of a block: the next block, or the final norm."""
        if layer + 1 < self.n_layers:
            return self.place(f"resid_pre.{layer + 1}")
        return replace(self.place("final_norm"), side="input")

    def forward_pass(
        self,
        ids: np.ndarray | Mapping[str, Any],
        layout: BatchLayout,
        steps: Sequence[CompiledEdits | Sequence[ActivationTap]] = (),
        *,
        logits: bool | Literal["all"],
        early: bool = False,
        cache: Any = None,
        packed: bool = False,
    ) -> Float[Tensor, "rows *columns vocabulary"] | None:
        """One forward pass with its hooks, which are gone when it returns.

        Args:
            ids: `[rows, columns]` token ids, or all arguments where they are on the device already.
            layout: which token stands in each column.
            steps: writes and reads, in the order in which they happen at one place.
            logits: whether to go on to the last column's logits (or those of all), or skip the head.
            early: end the pass where the last read is served.
            cache: keys, values and states of the columns before.
            packed: multiply with packed weights, see `packed_products.py`; no gradients then.
        """
        arguments = self.arguments(ids, layout, layout.positions >= 0) if isinstance(ids, np.ndarray) else ids
        arguments = {**arguments, **self._cache_arguments(cache, arguments)}
        taps = [tap for step in steps if not isinstance(step, CompiledEdits) for tap in step]
        head = any(tap.place.module is self.engine.arch.lm_head for tap in taps)
        decode = cache is not None and layout.positions.shape[1] == 1
        step = decoding(self.hf) if decode else nullcontext()
        products = self.products.used() if packed else nullcontext()
        mode = in_eval(self.hf) if self.hf.training else nullcontext()
        ropes = row_ropes(self.length_ropes, lambda: layout) if self.length_ropes else nullcontext()
        with self._lock, mode, step, products, ropes, attached(layout, steps, stop_when_served=early):
            self._passing.layout = layout
            try:
                if not logits and not head:
                    self.engine.arch.trunk(**arguments)
                    return None
                output = self.hf(**arguments, logits_to_keep=0 if head or logits == "all" else 1)
                return output.logits if logits == "all" else output.logits[:, -1]
            except ValueError as error:
                if type(cache).__name__ in str(error):
                    raise ModelError(
                        f"{self.name} ({self.architecture}) keeps a cache of a kind of its own, so answers "
                        "cannot be written with it: use model.hf.generate, or read given answers"
                    ) from error
                raise
            finally:
                self._passing.layout = None
        return None  # the pass ended early, served

    def _cache_arguments(self, cache: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The cache by the name that the model has for it: what it does not know it drops without a word."""
        if self.cache_name == "past_key_values" or cache is None:
            return {self.cache_name: cache, "use_cache": cache is not None}
        given: dict[str, Any] = {self.cache_name: cache, "use_cache": True}
        if "attention_mask" in arguments:  # of recurrent models it is that of the columns which pass
            given["attention_mask"] = arguments["attention_mask"][:, -arguments["input_ids"].shape[1] :]
        return given

    def arguments(self, ids: np.ndarray, layout: BatchLayout, real: np.ndarray) -> dict[str, Tensor]:
        """A forward pass's arguments on the device.

        Args:
            ids: `[rows, columns]` token ids.
            layout: which token stands in each column.
            real: `[rows, all columns so far]`, False on padding.
        """
        # Without a mask the attention kernels take their fast causal path, so none is given for nothing.
        arguments = {"input_ids": torch.from_numpy(ids).to(self.device)}
        if not real.all():
            arguments["attention_mask"] = torch.from_numpy(real).to(self.device, torch.long)
        if self.takes_positions:
            arguments["position_ids"] = torch.from_numpy(np.maximum(layout.positions, 0)).to(self.device)
        return arguments


class _CurrentPass:
    """The pass that is being made just now; views of a model with other chat templates share it."""

    layout: BatchLayout | None = None


class _WidthProbe:
    """A sink that only looks how wide the activations are."""

    width = 0

    def take(self, chosen: PositionIndex, hidden: Tensor) -> None:
        self.width = hidden.shape[-1]

"""Generating: batches of answers, each row with its own edits and seed, read while they are written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from mindscope.errors import ModelError
from mindscope.models.edits import Edit
from mindscope.models.hooks import Tap
from mindscope.models.passes import Pass, left_padded
from mindscope.models.read import Progress, Read
from mindscope.models.reduce import sink
from mindscope.models.rows import Row, mask
from mindscope.models.sample import Sampling, draw, uniforms
from mindscope.models.text import Stops, Stream

if TYPE_CHECKING:
    from mindscope.models.model import Model

OnToken = Callable[[int, int, str], object]
"""Called with (index of the row, token id, text that became certain); raising ends the generation."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer.

    Attributes:
        row: the prompt and the answer's ids, without the token that ended it.
        text: the answer, special tokens left out.
        finish: `stop` where the model ended or a stop string came, `length` where it was cut.
        reads: what was read, float32 on the CPU: `[width]` for Mean and Last (NaN where the row has no
            token there), `[tokens, width or k]` for Raw and Project.
    """

    row: Row
    text: str
    finish: Literal["stop", "length"]
    reads: dict[str, Tensor] = field(default_factory=dict)


def generate(
    model: "Model",
    rows: Sequence[Row],
    sampling: Sampling,
    *,
    edits: Sequence[Edit] | Sequence[Sequence[Edit]] | None = None,
    reads: Mapping[str, Read] | None = None,
    seeds: Sequence[int] | None = None,
    batch_rows: int = 64,
    progress: Progress | None = None,
    on_token: OnToken | None = None,
) -> list[Generation]:
    """See `Model.generate`."""
    model.check_rows(rows, new=1)
    if seeds is not None and len(seeds) != len(rows):
        raise ModelError(f"{len(seeds)} seeds for {len(rows)} rows; give one seed per row")
    own = model.edits_of(edits, len(rows))
    found: dict[int, Generation] = {}

    def finished(index: int, generation: Generation) -> None:
        found[index] = generation
        if progress is not None:
            progress(len(found), len(rows))

    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    for start in range(0, len(order), batch_rows):
        indices = order[start : start + batch_rows]
        batch = _Batch(
            model,
            [rows[i] for i in indices],
            sampling,
            [own[i] for i in indices] if own else None,
            reads or {},
            uniforms(sampling, indices, seeds),
        )
        batch.run(
            lambda slot, generation, indices=indices: finished(indices[slot], generation),
            None
            if on_token is None
            else lambda slot, *token, indices=indices: on_token(indices[slot], *token),
        )
    return [found[i] for i in range(len(rows))]


class _Batch:
    """Rows that are generated side by side; line i of every tensor belongs to row `slots[i]`."""

    def __init__(
        self,
        model: "Model",
        rows: Sequence[Row],
        sampling: Sampling,
        edits: Sequence[Sequence[Edit]] | None,
        reads: Mapping[str, Read],
        random: np.ndarray,
    ):
        self.model, self.rows, self.sampling, self.edits, self.reads = model, rows, sampling, edits, reads
        self.random = torch.from_numpy(random).to(model.device)
        self.slots = np.arange(len(rows))
        self.answers: list[list[int]] = [[] for _ in rows]
        self.finish: list[Literal["stop", "length"] | None] = [None] * len(rows)
        room = model.context_length or np.iinfo(np.int64).max
        self.limits = [min(sampling.max_new_tokens, room - len(row)) for row in rows]
        self.cache = DynamicCache(config=model.hf.config)
        self.program = model.program(edits) if edits else None
        self.taps = {
            name: Tap(
                place, read.reduce.where, sink(read.reduce, len(rows), model.width(place), model.device)
            )
            for name, read in reads.items()
            for place in [model.place_of(read)]
        }
        self.reads_answers = any(_may_read_answers(tap.where) for tap in self.taps.values())
        self.stops = Stops(model.tokenizer, sampling.stop)

    def run(
        self, finished: Callable[[int, Generation], None], on_token: Callable[[int, int, str], object] | None
    ) -> None:
        streams = (
            [Stream(self.model.tokenizer, self.sampling.stop, row.answer) for row in self.rows]
            if on_token
            else None
        )
        ids, now = left_padded(self.rows)
        self.real = now.positions >= 0
        logits = self._forward(ids, now, whole=True)
        for step in range(self.sampling.max_new_tokens):
            assert logits is not None
            random = self.random[self._device(self.slots), step]
            tokens = draw(logits, self.sampling, random).tolist()
            unread: set[int] = set()  # rows whose last token has yet to pass through the model to be read
            for slot, token in zip(self.slots.tolist(), tokens, strict=True):
                if self.finish[slot] is not None:
                    continue
                self._accept(slot, token)
                if streams is not None and on_token is not None:
                    ended = self.finish[slot] is not None
                    on_token(slot, token, streams[slot].add(self.answers[slot], ended=ended))
                if self.finish[slot] == "length" and self.reads_answers:
                    unread.add(slot)
                elif self.finish[slot] is not None:
                    finished(slot, self._generation(slot))
            open_rows = {slot for slot in self.slots.tolist() if self.finish[slot] is None}
            if not open_rows | unread:
                return
            tokens = self._compact(tokens, open_rows | unread)
            logits = self._feed(tokens, open_rows | unread, whole=bool(open_rows))
            for slot in unread:
                finished(slot, self._generation(slot))
            if not open_rows:
                return

    def _accept(self, slot: int, token: int) -> None:
        if token in self.model.eos_ids:
            self.finish[slot] = "stop"
            return
        answer = self.answers[slot]
        answer.append(token)
        if self.stops.found(answer):
            del answer[self.stops.keep(answer) :]
            self.finish[slot] = "stop"
        elif len(answer) == self.limits[slot]:
            self.finish[slot] = "length"

    def _compact(self, tokens: list[int], needed: set[int]) -> list[int]:
        """Let rows that are done leave the batch, once they are enough to pay for copying the cache."""
        keep = [line for line, slot in enumerate(self.slots.tolist()) if slot in needed]
        if len(keep) > 0.9 * len(self.slots):
            return tokens
        self.slots = self.slots[keep]
        self.real = self.real[keep]
        self.cache.batch_select_indices(self._device(np.array(keep)))
        if self.edits is not None:
            self.program = self.model.program([self.edits[slot] for slot in self.slots])
        return [tokens[line] for line in keep]

    def _feed(self, tokens: list[int], needed: set[int], *, whole: bool) -> Tensor | None:
        """Pass each needed row's newest token through the model."""
        live = np.array([slot in needed for slot in self.slots.tolist()])[:, None]
        lengths = [len(self.rows[slot]) + len(self.answers[slot]) for slot in self.slots.tolist()]
        positions = np.where(live, np.array(lengths)[:, None] - 1, -1)
        now = Pass(positions, np.array([self.rows[slot].prompt for slot in self.slots.tolist()]))
        self.real = np.concatenate([self.real, live], 1)
        return self._forward(np.where(live, np.array(tokens)[:, None], 0), now, whole=whole)

    def _forward(self, ids: np.ndarray, now: Pass, *, whole: bool) -> Tensor | None:
        with torch.inference_mode():
            return self.model.forward_pass(
                ids,
                now,
                self.program,
                list(self.taps.values()),
                whole=whole,
                slots=self.slots,
                cache=self.cache,
                real=None if self.real.all() else self.real,
            )

    def _generation(self, slot: int) -> Generation:
        row = self.rows[slot].answered(self.answers[slot])
        finish = self.finish[slot]
        assert finish is not None
        text = self.model.decode(row.answer)
        reads = {name: tap.sink.result(slot).cpu() for name, tap in self.taps.items()}
        return Generation(row, text, finish, reads)

    def _device(self, indices: np.ndarray) -> Tensor:
        return torch.from_numpy(indices).to(self.model.device)


def _may_read_answers(where) -> bool:
    """Whether a token behind the prompt can be meant."""
    return isinstance(where, tuple) or bool(mask(where, np.array([[9]]), np.array([5])).any())

"""Generating: batches of answers, each row with its own edits and seed, read while they are written."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.generation.config import Sampling
from mindscope.models.generation.control import Controller, ControllerEdits, collectors_for, drain_collectors
from mindscope.models.generation.kv_cache import growing_cache
from mindscope.models.generation.sample import draw_tokens, draw_uniforms
from mindscope.models.hooks.attach import ActivationTap
from mindscope.models.hooks.core import Edits, HookedModel
from mindscope.models.hooks.edits import CompiledEdits, Edit
from mindscope.models.hooks.read import Progress, Read, build_collector, find_place, read_rows
from mindscope.models.tokens.batch import BatchLayout, left_padded
from mindscope.models.tokens.chat import decode
from mindscope.models.tokens.rows import Row, reaches_answer
from mindscope.models.tokens.text import AnswerStream, StopStrings

OnToken = Callable[[int, int, str], object]
"""Called with (index of the row, token id, text that became certain); raising ends the generation."""

Finish = Literal["stop", "length", "halted"]

_WORTH_COMPACTING = 0.9  # copying the cache costs about as much as one step, so it pays soon


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer.

    Attributes:
        row: the prompt and the answer's ids, without the token or stop string that ended it.
        text: the answer, special tokens left out. Where a stop string begins inside a token, the token's
            first characters are here while the token is not in `row`.
        finish: `stop` where the model ended or a stop string came, `length` where it was cut, `halted` where
            a controller ended it.
        reads: what was read of `row`, float32 on the CPU: `[width]` for Mean and Last (NaN where the row has
            no such token), `[tokens, width or k]` for Raw and Project.
        pushed: what a controller pushed, at which positions of `row`.
    """

    row: Row
    text: str
    finish: Finish
    reads: dict[str, Tensor] = field(default_factory=dict)
    controller_edits: tuple[Edit, ...] = ()


def generate_rows(
    core: HookedModel,
    rows: Sequence[Row],
    sampling: Sampling,
    *,
    eos_ids: Set[int],
    edits: Edits | None,
    reads: Mapping[str, Read],
    seeds: Sequence[int] | None,
    batch_rows: int,
    progress: Progress | None,
    on_token: OnToken | None,
    controller: Controller | None = None,
) -> list[Generation]:
    """See `Model.generate`."""
    core.check_rows(rows, filled=True, new=1)
    if seeds is not None and len(seeds) != len(rows):
        raise ModelError(f"{len(seeds)} seeds for {len(rows)} rows; give one seed per row")
    own = core.edits_of(edits, len(rows))
    found: dict[int, Generation] = {}
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    for start in range(0, len(order), batch_rows):
        indices = order[start : start + batch_rows]
        batch = _Batch(core, rows, indices, sampling, eos_ids, own, reads, seeds, controller)
        for index, generation in batch.run(on_token):
            found[index] = generation
            if progress is not None:
                progress(len(found), len(rows))
    return [found[i] for i in range(len(rows))]


class _Batch:
    """Rows that are written side by side.

    A row's slot is its place in the batch as it began; `slots` tells which of them are still in the tensors,
    line by line.
    """

    def __init__(
        self,
        core: HookedModel,
        rows: Sequence[Row],
        indices: Sequence[int],
        sampling: Sampling,
        eos_ids: Set[int],
        edits: Sequence[Sequence[Edit]] | None,
        reads: Mapping[str, Read],
        seeds: Sequence[int] | None,
        controller: Controller | None,
    ):
        self.core, self.sampling, self.eos_ids = core, sampling, eos_ids
        self.reads, self.indices = reads, indices
        self.rows = [rows[i] for i in indices]
        self.edits = [edits[i] for i in indices] if edits else None
        self.program = core.program(self.edits) if self.edits else None
        places = {name: find_place(core, one) for name, one in reads.items()}
        self.reducers = {
            name: build_collector(core, one, places[name], len(indices)) for name, one in reads.items()
        }
        self.taps = [
            ActivationTap(places[name], one.reduce.where, self.reducers[name]) for name, one in reads.items()
        ]
        self.controller = controller
        self.pushes = [ControllerEdits() for _ in indices]
        self.pushed: CompiledEdits | None = None
        self.sinks, self.watched = collectors_for(core, controller, len(indices))
        self.random = torch.from_numpy(draw_uniforms(sampling, indices, seeds)).to(core.device)
        self.stops = StopStrings(core.tokenizer, sampling.stop)
        self.cache = growing_cache(core.hf.config)
        self.slots = np.arange(len(indices))
        self.answers: list[list[int]] = [[] for _ in indices]
        self.cut_texts: dict[int, str] = {}
        self.finish: list[Finish | None] = [None] * len(indices)
        room = core.context_length or sys.maxsize
        self.limits = [min(sampling.max_new_tokens, room - len(row)) for row in self.rows]

    def run(self, on_token: OnToken | None) -> Iterator[tuple[int, Generation]]:
        """Write all answers; yields (index of the row, generation) as they end."""
        streams = [AnswerStream(self.stops) for _ in self.rows]
        # A row that was cut has a newest token that no pass has seen, though the reads of answers want it.
        owes_a_pass = any(reaches_answer(tap.where) for tap in (*self.taps, *self.watched))
        logits = self._prefill()
        self._consult()
        yield from self._ended(range(len(self.rows)))
        while logits is not None:
            drawn = self._draw(logits)
            for slot, token in drawn.items():
                self._accept(slot, token)
                if on_token is not None:
                    new = streams[slot].add(self._text(slot), ended=self.finish[slot] is not None)
                    on_token(self.indices[slot], token, new)
            going = [slot for slot in drawn if self.finish[slot] is None]
            cut = [slot for slot in drawn if owes_a_pass and self.finish[slot] == "length"]
            logits = self._feed({*going, *cut}, drawn, logits=bool(going)) if going or cut else None
            self._consult()
            yield from self._ended(drawn)

    def _ended(self, slots: Iterable[int]) -> Iterator[tuple[int, Generation]]:
        for slot in slots:
            if self.finish[slot] is not None:
                yield self.indices[slot], self._generation(slot)

    def _consult(self) -> None:
        """Show the controller what passed by, and do as it says to the rows that go on."""
        if self.controller is None:
            return
        seen = {self.indices[slot]: values for slot, values in drain_collectors(self.sinks).items()}
        commands = self.controller.step(seen) if seen else {}
        changed = False
        for slot, index in enumerate(self.indices):
            command = commands.get(index)
            if command is None or self.finish[slot] is not None:
                continue
            if command.stop:
                self.finish[slot] = "halted"
            elif command.edits is not None:
                self.pushes[slot].now, changed = command.edits, True
        if changed:
            self._compile_pushes()

    def _compile_pushes(self) -> None:
        edits = [self.pushes[slot].now for slot in self.slots]
        self.pushed = self.core.program(edits) if any(edits) else None

    def _prefill(self) -> Tensor | None:
        """Pass the prompts through the model, a block of columns at a time, and give the last logits."""
        ids, whole = left_padded(self.rows, self.indices)
        width, logits = ids.shape[1], None
        columns = max(1, self.core.pass_tokens // len(ids))
        for start in range(0, width, columns):
            block = slice(start, start + columns)
            self.real = whole.positions[:, : block.stop] >= 0
            layout = BatchLayout(whole.positions[:, block], whole.prompts, whole.callers)
            logits = self._forward(ids[:, block], layout, logits=block.stop >= width, more=True)
        return logits

    def _draw(self, logits: Tensor) -> dict[int, int]:
        """The next token of every row that goes on."""
        lines = [line for line, slot in enumerate(self.slots.tolist()) if self.finish[slot] is None]
        if not lines:
            return {}
        slots = self.slots[lines]
        steps = [len(self.answers[slot]) for slot in slots]
        chosen = logits if len(lines) == len(logits) else logits[lines]
        tokens = draw_tokens(chosen, self.sampling, self.random[slots, steps])
        return dict(zip(slots.tolist(), tokens.tolist(), strict=True))

    def _accept(self, slot: int, token: int) -> None:
        answer = self.answers[slot]
        if token in self.eos_ids:
            self.finish[slot] = "stop"
            return
        answer.append(token)
        if self.stops.found(answer):
            kept, self.cut_texts[slot] = self.stops.cut(answer)
            del answer[kept:]
            self.finish[slot] = "stop"
        elif len(answer) == self.limits[slot]:
            self.finish[slot] = "length"

    def _feed(self, feed: Set[int], drawn: Mapping[int, int], *, logits: bool) -> Tensor | None:
        """Pass each of these rows' newest token through the model."""
        if len(feed) < _WORTH_COMPACTING * len(self.slots):
            self._compact(np.array([line for line, slot in enumerate(self.slots.tolist()) if slot in feed]))
        slots = self.slots.tolist()
        live = np.array([slot in feed for slot in slots])
        lengths = np.array([len(self.rows[slot]) + len(self.answers[slot]) for slot in slots])
        ids = np.array([drawn[slot] if alive else 0 for slot, alive in zip(slots, live, strict=True)])
        prompts = np.array([self.rows[slot].prompt_length for slot in slots])
        callers = np.array(self.indices)[self.slots]
        layout = BatchLayout(np.where(live, lengths - 1, -1)[:, None], prompts, callers)
        self.real = np.concatenate([self.real, live[:, None]], 1)
        for slot, length in zip(self.slots[live].tolist(), lengths[live].tolist(), strict=True):
            self.pushes[slot].passed(length - 1)
        return self._forward(ids[:, None], layout, logits=logits, more=logits)

    def _compact(self, lines: np.ndarray) -> None:
        """Let rows that are done leave the tensors."""
        self.slots, self.real = self.slots[lines], self.real[lines]
        self.cache.batch_select_indices(torch.from_numpy(lines).to(self.core.device))
        if self.edits is not None:
            self.program = self.core.program([self.edits[slot] for slot in self.slots])
        if self.pushed is not None:
            self._compile_pushes()

    def _forward(self, ids: np.ndarray, layout: BatchLayout, *, logits: bool, more: bool) -> Tensor | None:
        with torch.inference_mode():
            return self.core.forward_pass(
                ids,
                layout,
                self.program,
                self.taps,
                logits=logits,
                early=not more,
                slots=self.slots,
                cache=self.cache,
                real=self.real,
                watched=self.watched,
                pushed=self.pushed,
            )

    def _text(self, slot: int) -> str:
        """The text after the row as it was given."""
        return (
            self.cut_texts[slot]
            if slot in self.cut_texts
            else decode(self.core.tokenizer, self.answers[slot])
        )

    def _generation(self, slot: int) -> Generation:
        row, finish = self.rows[slot].answered(self.answers[slot]), self.finish[slot]
        assert finish is not None
        pushed = self.pushes[slot].record()
        if slot in self.cut_texts and self.reads:
            # The stop string's tokens were read before it was known for what it is.
            edits = [[*(self.edits[slot] if self.edits is not None else ()), *pushed]]
            again = read_rows(
                self.core,
                [row],
                self.reads,
                edits=edits,
                batch_tokens=len(row),
                progress=None,
                callers=[self.indices[slot]],
            )
            reads = {name: reading.values[0] for name, reading in again.items()}
        else:
            reads = {name: one.result(slot) for name, one in self.reducers.items()}
        return Generation(row, self._text(slot), finish, reads, pushed)

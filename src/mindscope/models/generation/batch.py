"""The decoding loop, open: requests join a running batch, leave it, and never touch one another.

A step is:

1. Requests that were cancelled leave.
2. Requests that wait take free slots: their prompts pass through the model in a batch of their own, whose
   tables are put into the free lines (`slots.py`). A few slots are let run free before that, because prompts
   that pass side by side cost little more than one; for the same reason a request that comes alone waits two
   steps for others. With `prefill_tokens` a step makes one pass of at most so many prompt tokens, so that
   answers that are being written never wait for more.
3. Every row draws its next token, by its own sampling and random numbers. Tokens and whether the logits were
   finite come to the host in one transfer.
4. Rows that have ended leave; where nobody takes their lines for a while, the tensors shrink to the rows that
   go on.
5. The tokens pass through the model, with each row's edits and reads; controllers see it, and may end or push
   their rows.

The batch belongs to one thread. A request's callback or controller that raises ends that request alone.
"""

from collections import deque
from collections.abc import Iterator, Set

import torch
from jaxtyping import Int
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.generation.answer_writer import AnswerWriter
from mindscope.models.generation.cache_select import require_known
from mindscope.models.generation.consult import consult_controllers
from mindscope.models.generation.control import require_watchable
from mindscope.models.generation.next_tokens import draw_next_tokens, note_logprobs
from mindscope.models.generation.prefill import prefill_groups
from mindscope.models.generation.prefix_cache import PrefixCache
from mindscope.models.generation.request import GenerationHandle, GenerationRequest
from mindscope.models.generation.slots import SlotTables
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.read import find_place

_WORTH_COMPACTING = 0.9
"""Share of the lines that is in use below which the others may be left out. Copying the cache costs about as
much as one step, so they are once they have cost as much: when the free lines of the steps before add up to a
step of all lines. Sooner would copy twice, out and back, where clients ask again at once."""

_SLOTS_A_PREFILL = 16
"""One of so many slots is let run free before waiting rows are prefilled: half of that, 3 % of the slots, is
idle on average, and prompts pass four at a time at 64 slots."""

_COMPANY, _WAITS = 4, 2
"""While others are written, fewer requests than the first wait this many steps for company: prompts that pass
side by side cost little more than one, and requests that come one by one would each stop all others."""


class DecodingBatch:
    """Answers that are written side by side.

        batch = DecodingBatch(model, slots=64, eos_ids=model.eos_ids)
        handle = batch.admit(GenerationRequest(row, Sampling(seed=3), edits=(edit,)))
        while batch.busy:
            batch.step()
            for ended in batch.retire():
                print(ended.result().text)

    A row's answer depends on its request alone (beyond rounding): not on its neighbours, on when it joined,
    or on who left.

    Args:
        core: the model.
        slots: the most rows that are written side by side.
        eos_ids: the tokens that end an answer.
        prefill_tokens: the most prompt tokens that pass between two steps; None for all that wait.
        prefixes: the beginnings of earlier prompts, which then do not pass again. It is the batch's own.

    Attributes:
        n_steps: how many steps it has made.
    """

    def __init__(
        self,
        core: HookedModel,
        *,
        slots: int = 64,
        eos_ids: Set[int],
        prefill_tokens: int | None = None,
        prefixes: PrefixCache | None = None,
    ):
        if slots < 1:
            raise ModelError(f"a batch needs at least one slot, got {slots}")
        if prefill_tokens is not None and prefill_tokens < 1:
            raise ModelError(f"prefill_tokens must be 1 or more, got {prefill_tokens}")
        self.core, self.n_slots = core, slots
        self.n_steps = 0
        self._prefill_tokens, self._prefixes = prefill_tokens, prefixes
        self._n_waited = 0  # steps that requests with a free slot have waited for company
        self._cancelling = False  # whether any request has been cancelled since the last step
        self._n_idle = 0  # free lines that went through the model, over the steps since there were so many
        self._waiting: deque[GenerationHandle] = deque()
        self._joining: list[GenerationHandle] = []  # whose prompts are passing through the model
        self._prefill: Iterator[SlotTables | None] = iter(())
        self._tables: SlotTables | None = None
        self._retired: list[GenerationHandle] = []
        self._writer = AnswerWriter(core, eos_ids)
        core.products.refresh()

    @property
    def n_live(self) -> int:
        """How many rows are being written."""
        tables = self._tables  # others may ask while a step lets go of them
        return 0 if tables is None else len(tables.lines)

    @property
    def n_waiting(self) -> int:
        """How many requests have no slot yet."""
        return len(self._waiting) + len(self._joining)

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do or `retire` anything to hand out."""
        return bool(self._waiting or self._joining or self._retired or self._tables is not None)

    def admit(self, request: GenerationRequest) -> GenerationHandle:
        """Take a request in; it gets a slot at the next step that has one free.

        Raises:
            ModelError: the prompt is empty or fills the context, or an edit, address or width does not fit.
        """
        self.core.check_rows([request.row], filled=True, new=1)
        self.core.check_edits(request.edits)
        for wanted in request.reads.values():
            find_place(self.core, wanted)
        if request.controller is not None:
            require_watchable(self.core, request.controller)
        room = self.core.context_length
        limit = request.sampling.max_new_tokens
        limit = limit if room is None else min(limit, room - len(request.row))
        self.core.check_growth(len(request.row), limit)
        handle = GenerationHandle(request, limit, self.core.tracker(request.row))
        self._waiting.append(handle)
        return handle

    def cancel(self, handle: GenerationHandle) -> None:
        """Let a request go: at the next step it leaves with what it has written."""
        handle.cancelled = True
        self._cancelling = True  # last: another thread may be about to look

    def fresh_text(self, handle: GenerationHandle) -> str:
        """What has become certain of an answer's text since the last call.

        For who looks now and then: a request's `on_token` gets it with every token, and every token then pays
        for a look at the whole answer.
        """
        return self._writer.fresh_text(handle)

    def close(self) -> None:
        """Let all rows and their tables go, whatever their state; what has ended stays to be retired."""
        self._waiting.clear()
        self._joining, self._prefill = [], iter(())
        self._tables = None

    def retire(self) -> list[GenerationHandle]:
        """The requests that have ended since the last call."""
        retired, self._retired = self._retired, []
        return retired

    def step(self) -> None:
        """Write one token of every row."""
        self._cancel()
        self._fill()
        self._prefill_some()
        if self._tables is None:
            return
        self.n_steps += 1
        tokens = draw_next_tokens(self._tables)
        note_logprobs(self._tables, tokens)
        for line, token in zip(self._tables.lines, tokens[self._tables.lines].tolist(), strict=True):
            self._writer.accept(self._tables.handle(line), token)
        self._release(feed_cut=True)
        tokens = self._tidy(tokens)
        if self._tables is not None:
            self._feed(self._tables, tokens.clamp(min=0))
            consult_controllers(self.core, self._tables, may_wait=True)
            self._release()

    def _cancel(self) -> None:
        if not self._cancelling:
            return
        self._cancelling = False
        for handle in [handle for handle in self._waiting if handle.cancelled]:
            self._waiting.remove(handle)
            self._end(handle, None)
        if self._tables is not None:
            self._release()

    def _fill(self) -> None:
        """Let waiting requests take free slots."""
        if self._joining:
            return
        n_free = self.n_slots - self.n_live
        n_joining = min(n_free, len(self._waiting))
        if n_joining < min(len(self._waiting), max(1, self.n_slots // _SLOTS_A_PREFILL)) and self.n_live:
            return
        if not n_joining:
            return
        if self.n_live and n_joining < min(n_free, _COMPANY) and self._n_waited < _WAITS:
            self._n_waited += 1
            return
        self._n_waited = 0
        self._joining = [self._waiting.popleft() for _ in range(n_joining)]
        self._prefill = prefill_groups(self.core, self._joining, self._pass_tokens, self._prefixes)

    def _prefill_some(self) -> None:
        """Pass waiting prompts through the model: all of them, or one pass where others are not to wait."""
        joined = False
        for tables in self._prefill:
            if tables is not None:
                self._join(tables)
                joined = True
            if self._prefill_tokens is not None:
                break
        if joined and self._tables is not None:
            consult_controllers(self.core, self._tables)
            self._release()

    @property
    def _pass_tokens(self) -> int:
        return min(self.core.pass_tokens, self._prefill_tokens or self.core.pass_tokens)

    def _join(self, new: SlotTables) -> None:
        """Put rows into free lines, and make room for all that are about to join."""
        tables, n_joining = self._tables, len(self._joining)
        self._joining = [handle for handle in self._joining if handle not in new.handles]
        if tables is None:
            tables = self._tables = new
            lines = list(range(len(new.handles)))
            if n_joining > len(lines):
                tables.rearrange(lines, n_joining - len(lines), tables.columns)
        else:
            require_known(tables.cache)
            free = [line for line, handle in enumerate(tables.handles) if handle is None]
            if n_joining > len(free):
                columns = max(new.columns, int(tables.lengths.max()))
                tables.rearrange(range(len(tables.handles)), n_joining - len(free), columns)
                free = [line for line, handle in enumerate(tables.handles) if handle is None]
            lines = free[: len(new.handles)]
            tables.put(lines, new)
        tables.draw_numbers(lines)

    def _release(self, *, feed_cut: bool = False) -> None:
        """Let rows that have ended leave their slots.

        With `feed_cut` those stay that were cut and whose reads want their newest token, which no pass saw.
        """
        tables = self._tables
        assert tables is not None
        gone = self._leaving_lines(tables, feed_cut)
        if gone and any(watch.n_unseen for watch in tables.controllers.values()):
            consult_controllers(self.core, tables)
            gone = self._leaving_lines(tables, feed_cut)
        for line in gone:
            self._end(tables.handle(line), line)
        if gone:
            tables.free(gone)
        if not tables.lines:
            self._tables = None

    def _leaving_lines(self, tables: SlotTables, feed_cut: bool) -> list[int]:
        gone = []
        for line in tables.lines:
            handle = tables.handle(line)
            if not (handle.ended or handle.cancelled):
                continue
            if not (feed_cut and handle.finish == "length" and handle.reads_answer and handle.error is None):
                gone.append(line)
        return gone

    def _end(self, handle: GenerationHandle, line: int | None) -> None:
        reads: dict[str, Tensor] = {}
        if line is not None and self._tables is not None and handle.request.measures_edits:
            handle.effects = self._tables.gauge.of_row(line)
        if line is not None and self._tables is not None and handle.finish is not None:
            try:
                reads = self._tables.read_of(line)
            except ModelError as error:  # not finite: of this row alone
                handle.error = error
        self._writer.end(handle, reads)
        self._retired.append(handle)

    def _tidy(self, tokens: Int[Tensor, "lines"]) -> Int[Tensor, "kept"]:
        """Leave out free lines nobody waits for, and columns nobody uses once the room is used up."""
        tables = self._tables
        if tables is None:
            return tokens
        lines, n_lines = tables.lines, len(tables.handles)
        columns = int(tables.lengths.max())
        sparse = len(lines) + self.n_waiting < _WORTH_COMPACTING * n_lines
        self._n_idle = self._n_idle + n_lines - len(lines) if sparse else 0
        if sparse and (tables.full or self._n_idle > n_lines):
            self._n_idle = 0
            tables.rearrange(lines, 0, columns)
            return tokens[torch.tensor(lines, device=tokens.device)]
        if tables.full:
            # The cache moves anyway: see `decode_attention.py`.
            return tokens[torch.tensor(tables.sort_by_length(), device=tokens.device)]
        return tokens

    @torch.inference_mode()
    def _feed(self, tables: SlotTables, tokens: Int[Tensor, "lines"]) -> None:
        """Pass each row's newest token through the model."""
        arguments, layout = tables.feed(tokens)
        handles = [tables.handle(line) for line in tables.lines]
        if tables.pushed.places:
            for handle, position in zip(handles, tables.lengths[tables.live].tolist(), strict=True):
                handle.controller_edits.passed(position)
        going = any(handle.finish is None for handle in handles)
        logits = self.core.forward_pass(
            arguments,
            layout,
            tables.steps,
            logits=going,
            early=not going,
            cache=tables.cache,
            packed=True,
        )
        tables.logits = logits
        tables.gauge.forget()
        tables.fed()

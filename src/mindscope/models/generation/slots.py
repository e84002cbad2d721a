"""All that lies in tensors for rows that are written side by side: one line for each row, in every table.

A line is a slot: the row's keys, values and states, its logits, its edits, what was read of it and its random
numbers all stand at the same index. Three things happen to the tables, and to all of them together:

1. Rows that are prefilled form tables of their own, which are put into free lines.
2. Lines are rearranged: blank ones appended when more rows join than there are free lines, free ones left out
   when nobody waits for them (a CPU's work grows with the lines).
3. A row that has ended frees its line. The line goes on through the model as padding that nobody reads, until
   the next row takes it.

Rows are right-aligned (see `cache_select.py`): every row's newest token stands in the newest column, so that
a step writes one column for all, whatever their lengths. Left-aligned rows would need a scatter into every
layer and attention masks of our own for each architecture, for a rectangle of the same size: as many columns
as the longest row has tokens. Columns to the left that only ended rows used are cut off when the room is used
up.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from mindscope.models.generation.cache_select import permute_rows, put_rows, rearrange_rows
from mindscope.models.generation.control import ControllerReads
from mindscope.models.generation.kv_cache import BLOCK, BlockLayer, LineSpan, columns_of_room
from mindscope.models.generation.request import GenerationHandle
from mindscope.models.generation.sample import UniformTable
from mindscope.models.hooks.attach import ActivationTap
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.edit_gauge import EditGauge
from mindscope.models.hooks.edits import CompiledEdits, Edit
from mindscope.models.hooks.read import build_read_group
from mindscope.models.hooks.read_group import ReadGroup
from mindscope.models.tokens.batch import BatchLayout, SteadyColumns

_LINES_A_SPAN = 8
"""Lines that leave out the same columns in `decode_attention`, in types narrower than float32: fewer are more
operations, more waste time on columns that no row uses."""

_COLUMNS_A_SPAN = 128
"""Columns of one line that cost as much as another span, in float32, where spans are cut for least cost: 30
microseconds of calls beside a fifth of a microsecond a column (4 heads of 64). In narrower types every size
of a span would be another kernel, see `kv_cache.py`."""

ReadKey = tuple[tuple[str, object], ...]


class SlotTables:
    """The tables of a batch.

    Attributes:
        handles: by line, whose it is; None for a free one.
        live: `[lines]`, which are somebody's.
        lines: the same as indices.
        alike: `lines` that sample alike, together.
        constrained: `lines` whose next tokens a constraint bounds.
        noted: `lines` whose log-probabilities are kept.
        columns: how many columns the cache has.
        lengths: `[lines]`, how many tokens of each row are in the cache; 0 for a free line.
        logits: `[lines, vocabulary]`, of the token after each row.
        groups: what is read, by what is asked for.
        controllers: the controllers that look on, and what they read.
        randoms: what the rows draw with.
        gauge: what the edits did to the rows, where a request asks for it.
    """

    def __init__(
        self, core: HookedModel, handles: Sequence[GenerationHandle], cache: DynamicCache, columns: int
    ) -> None:
        self.core, self.cache, self.columns = core, cache, columns
        self._room = columns_of_room(columns)
        self.handles: list[GenerationHandle | None] = list(handles)
        self.lengths = np.array([len(handle.request.row) for handle in handles])
        self.logits: Float[Tensor, "lines vocabulary"] | None = None
        n_lines = len(handles)
        self.edits = core.program([handle.request.edits for handle in handles])
        self.pushed = core.program([()] * n_lines)
        self.randoms = UniformTable(n_lines, core.device)
        self.gauge = EditGauge(core, n_lines)
        self.groups: dict[ReadKey, ReadGroup] = {}
        self.controllers: dict[int, ControllerReads] = {}
        for handle in handles:
            request = handle.request
            key = tuple(request.reads.items())
            if key and key not in self.groups:
                self.groups[key] = build_read_group(core, request.reads, n_lines)
            if request.controller is not None and id(request.controller) not in self.controllers:
                group = build_read_group(core, request.controller.reads, n_lines)
                self.controllers[id(request.controller)] = ControllerReads(request.controller, group)
        self._restrict()
        self._place()

    def handle(self, line: int) -> GenerationHandle:
        """Whose a line is that is somebody's."""
        handle = self.handles[line]
        assert handle is not None
        return handle

    def _restrict(self) -> None:
        """Let each group of reads take part in the rows that asked for it, and drop those of none."""
        keys, controllers = [], []
        for handle in self.handles:
            keys.append(() if handle is None else tuple(handle.request.reads.items()))
            controllers.append(None if handle is None else id(handle.request.controller))
        self.groups = {key: group for key, group in self.groups.items() if key in keys}
        self.controllers = {key: watch for key, watch in self.controllers.items() if key in controllers}
        for key, group in self.groups.items():
            group.restrict(np.array([own == key for own in keys]))
        for key, watch in self.controllers.items():
            watch.group.restrict(np.array([own == key for own in controllers]))

    def _place(self) -> None:
        """Bring to the device what has changed: which rows are where."""
        handles = self.handles
        self.live = np.array([handle is not None for handle in handles])
        self.lines: list[int] = np.flatnonzero(self.live).tolist()
        self.prompts = np.array(
            [0 if handle is None else handle.request.row.prompt_length for handle in handles]
        )
        self.callers = np.array([0 if handle is None else handle.request.index for handle in handles])
        own = [(line, handle) for line, handle in enumerate(handles) if handle is not None]
        alike: dict[tuple[float, int, float], list[int]] = {}
        for line, handle in own:
            sampling = handle.request.sampling
            alike.setdefault((sampling.temperature, sampling.top_k, sampling.top_p), []).append(line)
        self.alike = list(alike.values())
        self.constrained = [line for line, handle in own if handle.constraint is not None]
        self.noted = [line for line, handle in own if handle.request.n_logprobs is not None]
        reasons = any(handle.tracker is not None for _, handle in own)
        self._finals = None if reasons else self._find_finals()
        self._steady = SteadyColumns(self.live, reasons=reasons)
        self._steps: list[CompiledEdits | list[ActivationTap]] | None = None
        self._cuts: list[int] | None = None
        self._lengths = torch.from_numpy(self.lengths).to(self.core.device, copy=True)
        self._live = torch.from_numpy(self.live.astype(np.int64)).to(self.core.device)
        self._all_columns = torch.arange(self.columns + 2 * BLOCK, device=self.core.device)

    @property
    def full(self) -> bool:
        """Whether the next column makes the cache move to a larger buffer."""
        return self.columns >= self._room

    @property
    def steps(self) -> list[CompiledEdits | list[ActivationTap]]:
        """What hangs on the model in every pass. Controllers see the edits and not their own pushes."""
        if self._steps is None:
            watched = [watch.group.taps for watch in self.controllers.values()]
            before, after = self.gauge.taps(self._measured)
            reads = [group.taps for group in self.groups.values()]
            steps = [before, self.edits, *watched, self.pushed, after, *reads]
            # What would hang nothing is left out.
            self._steps = [
                step for step in steps if (step.places if isinstance(step, CompiledEdits) else step)
            ]
        return self._steps

    def push(self, lines: Sequence[int], edits: Sequence[Sequence[Edit]]) -> None:
        """Let controllers push rows: one list of edits for each of the lines, in place of those before."""
        self.pushed.put(np.array(lines, np.int64), self.core.program(edits))
        self._steps = None

    @property
    def _measured(self) -> list[str]:
        """The addresses where edits are measured: all that are edited, where any row asks for it."""
        if not any(handle is not None and handle.request.measures_edits for handle in self.handles):
            return []
        return list(dict.fromkeys([*self.edits.places, *self.pushed.places]))

    def read_of(self, line: int) -> dict[str, Tensor]:
        """What was read of a row, by name."""
        handle = self.handles[line]
        key = () if handle is None else tuple(handle.request.reads.items())
        return self.groups[key].of_row(line) if key else {}

    def feed(self, tokens: Int[Tensor, "lines"]) -> tuple[dict[str, Tensor], BatchLayout]:
        """The arguments of a pass of each row's newest token, made on the device, and the pass they make."""
        arguments = {"input_ids": tokens[:, None]}
        spans = self._spans()
        for layer in self.cache.layers:
            if isinstance(layer, BlockLayer):
                layer.spans = spans
        if (self.lengths[self.live] < self.columns).any():
            # A row of n tokens before this one sees the n + 1 newest columns.
            columns = self._all_columns[: self.columns + 1]
            arguments["attention_mask"] = (columns >= self.columns - self._lengths[:, None]).long()
        if self.core.takes_positions:
            arguments["position_ids"] = self._lengths[:, None]
        positions = np.where(self.live, self.lengths, -1)[:, None]
        finals = self._find_finals() if self._finals is None else self._finals
        return arguments, BatchLayout(
            positions, self.prompts, self.callers, finals=finals, steady=self._steady
        )

    def _find_finals(self) -> Int[np.ndarray, "lines"]:
        """Where final answers begin."""
        return np.array([0 if handle is None else handle.final_start for handle in self.handles])

    def _spans(self) -> list[LineSpan]:
        """Runs of lines, and the first column that any row among them uses."""
        if self._cuts is None:
            n_lines = len(self.handles)
            exact = self.core.dtype == torch.float32
            self._cuts = cut_spans(self.lengths) if exact else list(range(0, n_lines, _LINES_A_SPAN))
        longest = np.maximum.reduceat(self.lengths, self._cuts).tolist()
        ends = [*self._cuts[1:], len(self.handles)]
        spans: list[LineSpan] = []
        for first, end, length in zip(self._cuts, ends, longest, strict=True):
            column = self.columns - length
            if spans and spans[-1].column == column:
                spans[-1] = LineSpan(spans[-1].first, end, column)
            else:
                spans.append(LineSpan(first, end, column))
        return spans

    def fed(self) -> None:
        """Note that each row's newest token is in the cache."""
        self.lengths += self.live
        self._lengths = self._lengths + self._live
        self.columns += 1
        if self.columns > self._room:
            self._room = columns_of_room(self.columns)
        if self.columns == len(self._all_columns):
            self._all_columns = torch.arange(self.columns + 2 * BLOCK, device=self.core.device)

    def free(self, lines: Sequence[int]) -> None:
        """Let rows go."""
        for line in lines:
            self.handles[line] = None
            self.lengths[line] = 0
        self._restrict()
        cuts = self._cuts
        self._place()
        self._cuts = cuts  # which are as good as before where a row is shorter

    def rearrange(self, kept: Sequence[int], n_blank: int, columns: int) -> None:
        """Keep some lines in a new order, append free ones, and hold `columns` columns."""
        lines = np.array(kept, np.int64)
        same_lines = list(kept) == list(range(len(self.handles)))
        with torch.inference_mode():
            index = torch.from_numpy(lines)
            rearrange_rows(self.cache, None if same_lines else index, n_blank, columns)
            if self.logits is not None and not (same_lines and not n_blank):
                logits = self.logits[index.to(self.logits.device)]
                self.logits = torch.cat([logits, logits.new_zeros(n_blank, logits.shape[1])])
        self.columns, self._room = columns, columns_of_room(columns + 1)
        if not same_lines or n_blank:
            self.handles = [*(self.handles[line] for line in kept), *[None] * n_blank]
            self.lengths = np.concatenate([self.lengths[lines], np.zeros(n_blank, np.int64)])
            for table in (self.edits, self.pushed, self.randoms, self.gauge, *self._read_groups):
                table.rearrange(lines, n_blank)
        self._place()

    def sort_by_length(self) -> list[int]:
        """Let rows of like lengths lie side by side, longest first, and cut the columns that none uses.

        Returns:
            For each line the line whose row it has taken.
        """
        lines = np.argsort(-self.lengths, kind="stable")
        order, columns = lines.tolist(), int(self.lengths.max())
        assert self.logits is not None
        with torch.inference_mode():
            permute_rows(self.cache, order, self.lengths.tolist(), columns)
            self.logits = self.logits[torch.from_numpy(lines).to(self.logits.device)]
        rooms = [layer.room for layer in self.cache.layers if isinstance(layer, BlockLayer)]
        self.columns, self._room = columns, max(rooms, default=columns_of_room(columns + 1))
        self.handles = [self.handles[line] for line in order]
        self.lengths = self.lengths[lines]
        for table in (self.edits, self.pushed, self.randoms, self.gauge, *self._read_groups):
            table.rearrange(lines, 0)
        self._place()
        return order

    def put(self, lines: Sequence[int], other: "SlotTables") -> None:
        """Let the rows of other tables take these lines."""
        if other.columns > self.columns:
            self.rearrange(range(len(self.handles)), 0, other.columns)
        rows = np.array(lines, np.int64)
        assert self.logits is not None
        assert other.logits is not None
        with torch.inference_mode():
            put_rows(self.cache, torch.from_numpy(rows), other.cache)
            self.logits.index_copy_(0, torch.from_numpy(rows).to(self.logits.device), other.logits)
        for line, handle in zip(lines, other.handles, strict=True):
            self.handles[line] = handle
        self.lengths[rows] = other.lengths
        self.edits.put(rows, other.edits)
        self.pushed.put(rows, other.pushed)
        self.gauge.put(rows, other.gauge)
        for key, group in other.groups.items():
            if key not in self.groups:
                self.groups[key] = group.blank(len(self.handles))
            self.groups[key].put(rows, group)
        for key, watch in other.controllers.items():
            if key not in self.controllers:
                self.controllers[key] = ControllerReads(
                    watch.controller, watch.group.blank(len(self.handles))
                )
            self.controllers[key].group.put(rows, watch.group)
        self._place()

    def draw_numbers(self, lines: Sequence[int]) -> None:
        """Begin the random numbers of rows that have just come."""
        handles = [self.handles[line] for line in lines]
        keys = [None if handle is None else handle.request.key for handle in handles]
        self.randoms.put(np.array(lines, np.int64), keys)

    @property
    def _read_groups(self) -> list[ReadGroup]:
        return [*self.groups.values(), *(watch.group for watch in self.controllers.values())]


def cut_spans(lengths: Int[np.ndarray, "lines"], cost: int = _COLUMNS_A_SPAN) -> list[int]:
    """The first line of each span, for the least work over all lines.

    The work of a span is its lines times the longest row among them, and `cost` for the span itself. The best
    cut of the first n lines ends with some span and begins with the best cut of the lines before it.
    """
    n_lines = len(lengths)
    least, before = np.zeros(n_lines + 1), np.zeros(n_lines, np.int64)
    longest, first = np.zeros(n_lines, np.int64), np.arange(n_lines)
    for line, length in enumerate(lengths.tolist()):
        # By the line that the last span begins with.
        np.maximum(longest[: line + 1], length, out=longest[: line + 1])
        work = least[: line + 1] + cost + (line + 1 - first[: line + 1]) * longest[: line + 1]
        before[line] = work.argmin()
        least[line + 1] = work[before[line]]
    cuts, line = [], n_lines
    while line:
        line = int(before[line - 1])
        cuts.append(line)
    return cuts[::-1]

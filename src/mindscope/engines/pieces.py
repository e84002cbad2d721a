"""Many answers, handed out in pieces: what a long job saves one by one and need not make again.

1. The rows are cut into windows of whole pieces, `_BATCHES` times as many rows as are written side by side.
   The answers of a window are written in one open batch: a row that ends leaves its place to the next one.
2. A piece is handed out in the step in which the last of its answers ends.
3. A window whose pieces are all kept is left out. Of another one every row is written again, also those of
   pieces that are kept: which rows share a pass then depends on the rows alone and not on when a run was
   killed, and what is still missing comes out the same to the last bit.
4. An engine that does several things at a time is given all windows that are left together.

Without windows a killed run would either begin from nothing or end with other bytes; a batch that is closed
after every piece would wait each time for the longest answer of the piece.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mindscope.core import Clock, LabelledProgress
from mindscope.engines.forecast import AnswerForecast
from mindscope.engines.protocol import AnswerRequests, Engine, ParallelEngine
from mindscope.models import Edit, Generation, Read, Row, Sampling

_BATCHES = 8
"""Windows are so many batches long. Answers with lognormal lengths (mean 248, cap 1,000) take 3.1 times
fewer steps so than in batches that are closed, without any windows 3.9 times (`benchmarks/decoding.py`).
A kill loses at most one window."""


@dataclass(frozen=True)
class AnswerPlan:
    """Rows to be answered, and how.

    Attributes:
        rows: the prompts, in an order that does not change.
        sampling: how to draw.
        seeds: one per row.
        piece_rows: how many rows one piece holds.
        batch_rows: how many are written side by side.
        edits: one tuple of edits per row; None where there are none.
        reads: what to read of every row, by name.
    """

    rows: Sequence[Row]
    sampling: Sampling
    seeds: Sequence[int]
    piece_rows: int
    batch_rows: int
    edits: Sequence[tuple[Edit, ...]] | None = None
    reads: Mapping[str, Read] = field(default_factory=dict)

    @property
    def pieces(self) -> list[range]:
        """The rows of each piece."""
        n_rows = len(self.rows)
        return [
            range(start, min(start + self.piece_rows, n_rows)) for start in range(0, n_rows, self.piece_rows)
        ]


def generate_pieces(
    engine: Engine,
    plan: AnswerPlan,
    *,
    kept: Callable[[int], bool],
    progress: Callable[[int, int], None] | None = None,
    clock: Clock = time.monotonic,
) -> Iterator[tuple[int, list[Generation]]]:
    """The number of each piece that is not kept, and its answers in order.

    Args:
        engine: answers.
        plan: the rows.
        kept: whether a piece is finished already; asked once for each.
        progress: called with (answers done, answers in all) for every single answer, and told how long the
            rest takes where it listens (`core.LabelledProgress`).
        clock: tells the time.
    """
    pieces = plan.pieces
    finished = [kept(number) for number in range(len(pieces))]
    n_done = sum(len(rows) for rows, done in zip(pieces, finished, strict=True) if done)
    if progress is not None and n_done:
        progress(n_done, len(plan.rows))
    size = max(1, _BATCHES * plan.batch_rows // plan.piece_rows)
    starts = range(0, len(pieces), size)
    windows = [range(first, min(first + size, len(pieces))) for first in starts]
    unwritten = [window for window in windows if not all(finished[number] for number in window)]
    spans = [slice(pieces[window[0]].start, pieces[window[-1]].stop) for window in unwritten]
    order = [_begin_order(plan, rows) for rows in spans]
    forecast = AnswerForecast(
        order, plan.batch_rows, plan.sampling.max_new_tokens, clock, _kinds_of_edits(plan)
    )
    parallel = isinstance(engine, ParallelEngine)
    answers: dict[int, dict[int, Generation]] = {}
    for row, generation in _answers(engine, plan, spans):
        if not parallel:  # of windows that are written side by side the order of ends says nothing
            forecast.ended(row, len(generation.row.answer))
        number = row // plan.piece_rows
        if finished[number]:
            continue
        answers.setdefault(number, {})[row] = generation
        n_done += 1
        if len(answers[number]) == len(pieces[number]):
            of_piece = answers.pop(number)
            yield number, [of_piece[row] for row in pieces[number]]
        if progress is not None:
            progress(n_done, len(plan.rows))
        if isinstance(progress, LabelledProgress) and not parallel and forecast.due():
            progress.forecast(forecast.seconds_left() or 0.0)


def _answers(engine: Engine, plan: AnswerPlan, spans: Sequence[slice]) -> Iterator[tuple[int, Generation]]:
    """The row of each answer, and the answer: a window after the other, or several at a time."""
    windows = [
        AnswerRequests(
            plan.rows[rows],
            plan.sampling,
            None if plan.edits is None else plan.edits[rows],
            plan.reads,
            plan.seeds[rows],
            plan.batch_rows,
        )
        for rows in spans
    ]
    if isinstance(engine, ParallelEngine):
        for number, answers in engine.generate_many(windows):
            for index, generation in answers:
                yield spans[number].start + index, generation
        return
    for rows, asked in zip(spans, windows, strict=True):
        for index, generation in engine.generate_unordered(
            asked.rows,
            asked.sampling,
            edits=asked.edits,
            reads=asked.reads,
            seeds=asked.seeds,
            batch_rows=asked.batch_rows,
        ):
            yield rows.start + index, generation


def _kinds_of_edits(plan: AnswerPlan) -> list[int]:
    """By row, which rows are written under the same edits; empty where nothing is edited."""
    known: dict[tuple[int, ...], int] = {}
    names = [tuple(id(edit) for edit in edits) for edits in plan.edits or ()]
    return [known.setdefault(name, len(known)) for name in names]


def _begin_order(plan: AnswerPlan, rows: slice) -> list[int]:
    """The rows of a window in the order in which an engine begins them: see `models/generation`."""
    indices = range(rows.start, rows.stop)
    slots = max(1, plan.batch_rows)
    return sorted(indices, key=lambda row: ((row - rows.start) // slots, -len(plan.rows[row])))

"""Answers in pieces: one open batch for many pieces, each handed out when its last answer has ended."""

from typing import Any

import pytest

from mindscope.engines import AnswerPlan, generate_pieces
from mindscope.models import Mean, Model, Read, Row, Sampling

READS = {"mean": Read("resid_post.1", Mean("answer"))}


def plan_of(model: Model, n_rows: int, *, piece_rows: int = 4, batch_rows: int = 2, **settings: Any):
    rows = [model.text(f"question number {i}") for i in range(n_rows)]
    sampling = Sampling(max_new_tokens=settings.pop("max_new_tokens", 6))
    return AnswerPlan(rows, sampling, list(range(n_rows)), piece_rows, batch_rows, reads=READS, **settings)


def everything(model: Model, plan: AnswerPlan, kept: frozenset[int] = frozenset()) -> dict[int, list]:
    return dict(generate_pieces(model, plan, kept=lambda number: number in kept))


def test_pieces_hold_the_answers_that_a_single_call_gives(tiny: Model) -> None:
    plan = plan_of(tiny, 22)
    pieces = everything(tiny, plan)
    assert sorted(pieces) == [0, 1, 2, 3, 4, 5]
    together = tiny.generate(plan.rows, plan.sampling, seeds=plan.seeds)
    ordered = [generation.text for number in sorted(pieces) for generation in pieces[number]]
    assert ordered == [generation.text for generation in together]


def test_what_is_missing_is_the_same_to_the_last_bit_whatever_is_kept(tiny: Model) -> None:
    plan = plan_of(tiny, 30, batch_rows=3)
    whole = everything(tiny, plan)
    rest = everything(tiny, plan, frozenset({0, 1, 3, 5}))
    assert sorted(rest) == [2, 4, 6, 7]
    for number, generations in rest.items():
        for ours, theirs in zip(generations, whole[number], strict=True):
            assert ours.row == theirs.row
            assert ours.reads["mean"].equal(theirs.reads["mean"])


def test_a_window_whose_pieces_are_kept_is_not_written_again(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    whole = Model.generate_unordered

    def watching(self: Model, rows: list[Row], *args: Any, **kwargs: Any):
        asked.append(len(rows))
        return whole(self, rows, *args, **kwargs)

    monkeypatch.setattr(Model, "generate_unordered", watching)
    plan = plan_of(tiny, 40)  # windows of 8 x 2 rows: pieces 0 to 3, 4 to 7, 8 and 9
    assert sorted(everything(tiny, plan, frozenset({0, 1, 2, 3, 5}))) == [4, 6, 7, 8, 9]
    assert asked == [16, 8]


def test_a_piece_comes_before_later_rows_have_ended_and_single_answers_are_counted(tiny: Model) -> None:
    plan = plan_of(tiny, 16)
    counts: list[tuple[int, int]] = []
    pieces = generate_pieces(
        tiny, plan, kept=lambda number: number == 3, progress=lambda *count: counts.append(count)
    )
    came_at = [len(counts) for _ in pieces]
    assert counts == [(done, 16) for done in range(4, 17)]
    assert came_at[0] < 8


def test_slots_are_refilled_across_pieces(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = 0
    whole = Model.forward_pass

    def counting(self: Model, *args: Any, **kwargs: Any):
        nonlocal passes
        passes += 1
        return whole(self, *args, **kwargs)

    # The answers' lengths come from the context: a row that has 40 tokens less room ends 40 steps earlier.
    monkeypatch.setattr(Model, "forward_pass", counting)
    monkeypatch.setattr(Model, "eos_ids", frozenset())
    lengths = [2 if i % 4 else 40 for i in range(16)]
    ids = tuple(range(5, 60)) * 10
    rows = [Row(ids[: 512 - length], 512 - length) for length in lengths]
    plan = AnswerPlan(rows, Sampling(max_new_tokens=64), list(range(16)), piece_rows=4, batch_rows=4)
    everything(tiny, plan)
    # Closed batches of a piece each take 4 x 40 steps; here long answers are written side by side.
    assert passes < 120

"""How long answers still take: right within a third after the first tenth, by a clock of the test's own."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from mindscope.core import LabelledProgress, RemainingTime
from mindscope.engines import AnswerPlan, Engine, generate_pieces
from mindscope.engines.forecast import fit_lengths
from mindscope.models import Row, Sampling

BAR = 1 / 3
"""The share of the true time by which a forecast after the first tenth may be off."""


COSTS = {
    "even": (0.02, 0.0005, 0.003),
    "few large steps": (0.2, 0.0005, 0.003),
    "long prompts": (0.005, 0.0001, 0.01),
    "rows alone": (0.001, 0.0005, 0.002),
}
"""Seconds of a step, of a row in it, and of a prompt."""


@dataclass
class RecordedBatch:
    """An engine that ends answers as a batch of slots does that are refilled, on a clock of its own.

    Step by step: rows under way each get a token, those with all of theirs end, waiting rows take free slots.
    A step takes `fixed` seconds and `a_row` seconds more for every row, and a prompt `a_prompt` seconds.
    """

    lengths: list[int]
    fixed: float
    a_row: float
    a_prompt: float
    now: float = 0.0

    def generate_unordered(
        self, rows: list[Row], sampling: Sampling, *, batch_rows: int, **_: Any
    ) -> Iterator[tuple[int, Any]]:
        own = [self.lengths.pop(0) for _ in rows]
        waiting, left = deque(range(len(rows))), dict[int, int]()
        while waiting or left:
            while waiting and len(left) < batch_rows:
                row = waiting.popleft()
                left[row] = own[row]
                self.now += self.a_prompt
            self.now += self.fixed + self.a_row * len(left)
            for row in list(left):
                left[row] -= 1
                if not left[row]:
                    del left[row]
                    yield row, SimpleNamespace(row=SimpleNamespace(answer=[0] * min(own[row], 10**6)))


class ForecastLog:
    """What a terminal shows: how much time is left when a tenth is done."""

    def __init__(self, engine: RecordedBatch) -> None:
        self.remaining = RemainingTime(lambda: engine.now)
        self.engine, self.left = engine, None
        self.then = 0.0

    def __call__(self, done: int, total: int, label: str) -> None:
        self.remaining.take(done, total)
        if self.left is None and done >= total / 10:
            self.left, self.then = self.remaining.left, self.engine.now

    def forecast(self, seconds: float, label: str) -> None:
        self.remaining.forecast(seconds)


def error_after_a_tenth(
    n_rows: int, slots: int, *, median: float, spread: float, limit: int, seed: int, costs: str = "even"
) -> float:
    """By what share of the time that is truly left the forecast is off when a tenth has ended."""
    random = np.random.default_rng(seed)
    drawn = np.exp(np.log(median) + spread * random.standard_normal(n_rows))
    lengths = np.clip(np.round(drawn), 1, limit).astype(int).tolist()
    return forecast_error(lengths, slots, limit, costs)


def forecast_error(
    lengths: list[int], slots: int, limit: int, costs: str, edits: list[tuple[Any, ...]] | None = None
) -> float:
    """By what share the forecast is off for answers of these lengths, in the order in which they begin."""
    n_rows = len(lengths)
    engine = RecordedBatch(lengths.copy(), *COSTS[costs])
    log = ForecastLog(engine)
    plan = AnswerPlan(
        rows=[Row((1,), 1)] * n_rows,
        sampling=Sampling(max_new_tokens=limit),
        seeds=list(range(n_rows)),
        piece_rows=16,
        batch_rows=slots,
        edits=edits,
    )
    progress = LabelledProgress(log, "answers")
    pieces = generate_pieces(
        cast(Engine, engine), plan, kept=lambda _: False, progress=progress, clock=lambda: engine.now
    )
    assert sum(len(answers) for _, answers in pieces) == n_rows
    assert log.left is not None
    truth = engine.now - log.then
    return abs(log.left - truth) / truth


@pytest.mark.parametrize("costs", ["even", "long prompts"])
@pytest.mark.parametrize(
    ("n_rows", "slots", "median", "spread", "limit"),
    [
        (500, 64, 180, 0.8, 1000),  # an extraction with --samples 2 or 3
        (1200, 64, 180, 0.8, 1000),  # three windows
        (400, 32, 20, 0.4, 64),  # short and alike, as the organism's
        (300, 64, 100, 0.8, 48),  # most answers are cut
        (160, 16, 100, 0.6, 1000),
    ],
)
def test_the_time_left_is_right_within_a_third_after_the_first_tenth(
    n_rows: int, slots: int, median: float, spread: float, limit: int, costs: str
) -> None:
    for seed in range(3):
        error = error_after_a_tenth(
            n_rows, slots, median=median, spread=spread, limit=limit, seed=seed, costs=costs
        )
        assert error <= BAR


@pytest.mark.parametrize("costs", ["even", "long prompts"])
@pytest.mark.parametrize("medians", [(30, 200, 400), (25, 30, 30, 30, 60, 120, 300, 1000)])
@pytest.mark.parametrize(("n_rows", "slots"), [(192, 64), (240, 32)])
def test_arms_of_unlike_strength_are_told_apart_while_they_are_written(
    medians: tuple[int, ...], n_rows: int, slots: int, costs: str
) -> None:
    """A steered arm runs on to the limit while an unsteered one ends: beside one another, as a sweep asks."""
    edits: list[tuple[Any, ...]] = [(object(),) for _ in medians]
    for seed in range(3):
        random = np.random.default_rng(seed)
        arms = np.arange(n_rows) % len(medians)
        drawn = np.log(np.array(medians))[arms] + 0.4 * random.standard_normal(n_rows)
        lengths = np.clip(np.round(np.exp(drawn)), 1, 200).astype(int).tolist()
        assert forecast_error(lengths, slots, 200, costs, [edits[arm] for arm in arms]) <= BAR


def test_a_fit_finds_lengths_of_which_most_are_still_being_written() -> None:
    random = np.random.default_rng(0)
    lengths = np.exp(5.0 + 0.6 * random.standard_normal(2000))
    ended = np.round(lengths[lengths < 90]).astype(int).tolist()  # a fifth of them
    ages = np.full(int((lengths >= 90).sum()), 90.0)
    mean, spread = fit_lengths(ended, ages, 1000)
    assert mean == pytest.approx(5.0, abs=0.1)
    assert spread == pytest.approx(0.6, abs=0.1)
    # What has ended alone would be taken for all: an e-fold too short.
    assert np.log(ended).mean() < 4.3


def test_an_answer_that_was_cut_counts_as_one_that_is_at_least_so_long() -> None:
    mean, _ = fit_lengths([40, 64, 64, 64, 64, 64, 64, 64], np.array([]), 64)
    assert mean > np.log(64)

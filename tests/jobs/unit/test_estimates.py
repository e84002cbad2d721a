"""What a job says before it begins: counts that are right, a time that was measured, smaller sizes."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import job_kit
import pytest

from mindscope.engines import AnswerPlan, Engine
from mindscope.jobs.estimates import (
    LONG,
    PacedProgress,
    WorkEstimate,
    announce,
    describe_sizes,
    estimate_answers,
)
from mindscope.jobs.persona import ExtractSpec, SweepSpec
from mindscope.models import Row, Sampling
from mindscope.personas import ExtractConfig, SweepConfig


class TimedEngine:
    """An engine whose prompts and steps take known times, and whose answers have known lengths."""

    def __init__(self, length: int, prompt: float = 0.01, step: float = 0.1) -> None:
        self.length, self.prompt, self.step, self.now = length, prompt, step, 0.0

    def generate(self, rows: list[Row], sampling: Sampling, **_: Any) -> list[Any]:
        written = min(self.length, sampling.max_new_tokens)
        self.now += self.prompt * len(rows) + self.step * (written - 1)
        return [SimpleNamespace(row=SimpleNamespace(answer=[0] * written)) for _ in rows]


def plan(n_rows: int, limit: int, batch_rows: int = 10) -> AnswerPlan:
    rows = [Row((1, 2), 2)] * n_rows
    return AnswerPlan(rows, Sampling(max_new_tokens=limit), list(range(n_rows)), 2, batch_rows)


def estimate(engine: TimedEngine, asked: AnswerPlan, **options: Any) -> WorkEstimate:
    return estimate_answers(cast(Engine, engine), asked, clock=lambda: engine.now, **options)


def test_answers_that_do_not_end_in_the_look_take_their_full_length_at_most() -> None:
    engine = TimedEngine(length=1000)
    work = estimate(engine, plan(40, 100), answers=200, judge_calls=400)
    assert (work.answers, work.tokens, work.judge_calls, work.expected) == (200, 20_000, 400, False)
    # 20 batches of 10 prompts and 100 steps.
    assert work.seconds == pytest.approx(20 * (10 * 0.01 + 100 * 0.1), rel=0.02)
    assert "at most 20,000 tokens, 400 judge calls, at most 3:2" in str(work)
    assert engine.now < 0.15 * cast(float, work.seconds)


def test_answers_that_end_in_the_look_tell_how_long_all_get() -> None:
    work = estimate(TimedEngine(length=20), plan(40, 1000), answers=4000)
    assert work.expected
    assert work.tokens == pytest.approx(4000 * 20, rel=0.35)
    assert work.seconds == pytest.approx(400 * (0.1 + 20 * 0.1), rel=0.35)
    assert "about" in str(work)


def test_what_is_there_already_takes_no_time() -> None:
    whole = estimate(TimedEngine(1000), plan(40, 100), answers=200)
    rest = estimate(TimedEngine(1000), plan(40, 100), answers=200, kept=150)
    assert rest.seconds == pytest.approx(cast(float, whole.seconds) / 4, rel=0.01)
    assert "150 answers are there already" in str(rest)


def test_long_work_names_smaller_sizes() -> None:
    short = WorkEstimate(answers=2, most_tokens=5, tokens=10, seconds=3.0)
    reporter = job_kit.RecordingReporter()
    announce(reporter, short, ExtractSpec.less())
    assert len(reporter.lines) == 1
    announce(reporter, short.model_copy(update={"seconds": LONG + 1}), ExtractSpec.less())
    assert reporter.lines[-1].startswith("that is long for this machine: --quick takes --questions 5")


def test_quick_takes_smaller_sizes_but_what_is_given_holds() -> None:
    spec = ExtractSpec(model="m", trait="evil", quick=True, samples=3)
    config = spec.config(ExtractConfig)
    assert (config.questions, config.samples, config.max_new_tokens) == (5, 3, 64)
    assert "--quick (--questions 5, --max-new-tokens 64)" in spec.quick_note
    plain = ExtractSpec(model="m", trait="evil")
    assert plain.config(ExtractConfig) == ExtractConfig()
    assert plain.quick_note == ""
    swept = SweepSpec(model="m", trait="evil", quick=True).config(SweepConfig, layers=(1,))
    assert (swept.coefficients, swept.layers) == ((1.0, 2.0), (1,))
    assert describe_sizes({"coefficients": (1.0, 2.0)}) == "--coefficients 1.0,2.0"


def test_rows_are_looked_at_all_over_a_plan() -> None:
    seen: list[list[int]] = []

    class Watching(TimedEngine):
        def generate(self, rows: list[Row], sampling: Sampling, **options: Any) -> list[Any]:
            seen.append(options["seeds"])
            return super().generate(rows, sampling, **options)

    estimate(Watching(3), replace(plan(100, 5), batch_rows=4))
    assert seen[-1] == [0, 25, 50, 75]


def test_steps_of_like_size_are_told_by_the_first_of_them() -> None:
    now = 0.0
    reporter = job_kit.RecordingReporter()
    paced = PacedProgress(reporter, "training", "steps", after=3, clock=lambda: now)
    paced(0, 1, "checking")
    now = 60.0  # whatever came before the first step is through
    for step in range(1, 11):
        paced(step, 100, "training")
        now += 2.0
    assert reporter.lines == ["this will be 100 steps, about 3:18 (2 s each, by the first of them)"]
    assert paced.estimate is not None
    assert (paced.estimate.seconds_each, paced.estimate.seconds) == (2.0, 198.0)
    assert reporter.labels.count("training") == 10
    short = PacedProgress(reporter, "training", "steps", after=3, clock=lambda: now)
    for step in range(1, 4):
        short(step, 3, "training")
    assert short.estimate is None

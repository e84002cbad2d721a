"""What a job will ask of a machine, said before it begins: answers, tokens, judge calls, time.

The time is measured on the machine that is to do it, by a few tokens of the job's own first prompts under its
own edits and reads. How long answers get is known only where most of them end within these few tokens; else
the time is that of answers of full length, which is what it takes at most.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from mindscope.core import Clock, format_duration
from mindscope.jobs.job import Config, JobSpec, Reporter
from mindscope.store import Document

if TYPE_CHECKING:
    from mindscope.engines import AnswerPlan, Engine

FIRST_TOKENS, MORE_TOKENS = 4, 48
"""Tokens of the first look, and the most of the second, which tells how long answers get."""
LOOK = 0.1
"""The share of the time that the whole may take which a second look may take."""
KNOWN = 0.25
"""The share of answers that must end within the look for their lengths to be known from it."""
LONG = 600.0
"""Seconds beyond which smaller sizes are offered."""


class WorkEstimate(Document):
    """How much a job is to do, and how long that takes."""

    answers: int
    """Answers that are written."""
    most_tokens: int
    """The most tokens of one answer."""
    tokens: int
    """Tokens of all answers: about so many if `expected` is true, else at most."""
    judge_calls: int = 0
    """What a judge is asked, once for the trait and once for coherence of every answer."""
    seconds: float | None = None
    """How long the answers take, without the judge; None where it was not measured."""
    expected: bool = False
    """Whether tokens and seconds are what is expected, and not the most."""
    measured: str = ""
    """What the time was measured on."""
    more: str = ""
    """What may come on top."""

    def scaled(self, share: float) -> Self:
        """The same for a share of the answers."""
        return self.model_copy(
            update={
                "answers": round(self.answers * share),
                "tokens": round(self.tokens * share),
                "judge_calls": round(self.judge_calls * share),
                "seconds": None if self.seconds is None else self.seconds * share,
            }
        )

    def __str__(self) -> str:
        about = "about" if self.expected else "at most"
        parts = [f"{self.answers:,} answers of at most {self.most_tokens:,} tokens"]
        parts.append(f"{about} {self.tokens:,} tokens")
        if self.judge_calls:
            parts.append(f"{self.judge_calls:,} judge calls")
        if self.seconds is not None:
            parts.append(f"{about} {format_duration(self.seconds)} ({self.measured})")
        return ", ".join(parts) + (f"; {self.more}" if self.more else "")


@dataclass(frozen=True, slots=True)
class AnswerPace:
    """What answers cost that are written side by side, new ones taking the places of those that end.

    Attributes:
        n_side: how many are written side by side.
        prompt_seconds: seconds of so many prompts.
        step_seconds: of a token of each.
    """

    n_side: int
    prompt_seconds: float
    step_seconds: float

    def seconds(self, answers: int, length: float) -> float:
        """How long some answers of a mean length take."""
        return max(1.0, answers / self.n_side) * (self.prompt_seconds + self.step_seconds * length)


class PaceEstimate(Document):
    """How long steps of like size take, by the first of them."""

    count: int
    unit: str
    """What they are: steps, rows."""
    seconds_each: float
    seconds: float

    def __str__(self) -> str:
        each = f"{self.seconds_each:.2g} s each, by the first of them"
        return f"{self.count:,} {self.unit}, about {format_duration(self.seconds)} ({each})"


class PacedProgress:
    """Hands progress on, and says how long the work of one label takes once its first pieces are through.

    Attributes:
        estimate: what was said; None where the work was over before.
    """

    def __init__(
        self,
        reporter: Reporter,
        label: str,
        unit: str,
        *,
        after: int = 1,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._reporter, self._label, self._unit = reporter, label, unit
        self._after, self._clock = after, clock
        self._began: tuple[int, float] | None = None
        self.estimate: PaceEstimate | None = None

    def __call__(self, done: int, total: int, label: str) -> None:
        self._reporter.progress(done, total, label)
        if label != self._label or self.estimate is not None:
            return
        if self._began is None:  # the first piece, before this call, built what the others use
            self._began = done, self._clock()
        elif self._began[0] + self._after <= done < total:
            first, then = self._began
            each = (self._clock() - then) / (done - first)
            self.estimate = PaceEstimate(
                count=total, unit=self._unit, seconds_each=each, seconds=each * (total - first)
            )
            self._reporter.say(f"this will be {self.estimate}")


def estimate_answers(
    model: Engine,
    plan: AnswerPlan,
    *,
    answers: int | None = None,
    kept: int = 0,
    judge_calls: int = 0,
    more: str = "",
    clock: Clock = time.perf_counter,
) -> WorkEstimate:
    """What answering a plan takes, measured by a few tokens of its first rows.

    Args:
        model: answers.
        plan: what is asked, or the first of it: some rows that are like all.
        answers: how many answers there are, where the plan has only some of the rows.
        kept: how many of them are there already.
        judge_calls: how often a judge is asked.
        more: what may come on top.
        clock: tells the time.
    """
    import numpy as np

    from mindscope.engines import expected_length, fit_lengths

    total = len(plan.rows) if answers is None else answers
    more = "; ".join(part for part in (f"{kept:,} answers are there already" if kept else "", more) if part)
    limit = plan.sampling.max_new_tokens
    n_side = max(1, min(plan.batch_rows, len(plan.rows)))
    _write(model, plan, n_side=min(2, n_side), n_tokens=1)  # what a first pass of a process costs on top
    began = clock()
    _write(model, plan, n_side, 1)
    prompt_seconds = clock() - began
    n_tokens = min(FIRST_TOKENS, limit)
    began = clock()
    lengths = _write(model, plan, n_side, n_tokens)
    step = max(clock() - began - prompt_seconds, 1e-6) / max(1, n_tokens - 1)
    pace = AnswerPace(n_side, prompt_seconds, step)
    affordable = min(
        MORE_TOKENS, limit, int((LOOK * pace.seconds(total - kept, limit) - prompt_seconds) / step)
    )
    if affordable > n_tokens:
        n_tokens = affordable
        lengths = _write(model, plan, n_side, n_tokens)
    n_ended = sum(length < n_tokens for length in lengths)
    expected = limit > n_tokens and n_ended >= KNOWN * len(lengths)
    length = float(limit)
    if expected:
        mean, spread = fit_lengths(lengths, np.zeros(0), n_tokens)
        length = expected_length(mean, spread, limit)
    elif limit <= n_tokens:
        expected, length = True, sum(lengths) / len(lengths)
    return WorkEstimate(
        answers=total,
        most_tokens=limit,
        tokens=round(total * length),
        judge_calls=judge_calls,
        seconds=pace.seconds(total - kept, length),
        expected=expected,
        measured=f"measured just now on {n_side} prompts and {n_tokens} tokens",
        more=more,
    )


def announce(reporter: Reporter, estimate: WorkEstimate, less: str = "") -> WorkEstimate:
    """Say an estimate, and where it is long how to ask for less."""
    reporter.say(f"this will be {estimate}")
    if estimate.seconds is not None and estimate.seconds > LONG and less:
        reporter.say(f"that is long for this machine: {less}")
    return estimate


def announce_kept(reporter: Reporter) -> None:
    """Say that a run has all answers of a job that is done again."""
    reporter.say("all answers are there already: none is written anew")


class QuickSpec(JobSpec):
    """A job that can be asked for in smaller sizes."""

    quick_sizes: ClassVar[Mapping[str, Any]] = {}
    """Fields and their smaller values."""

    quick: bool = False
    """Take smaller sizes, to see in minutes that everything runs: too few for a measurement. Whatever else is
    given still holds, and the report says which sizes it were."""

    def config(self, kind: type[Config], **changes: Any) -> Config:
        """The configuration, with smaller sizes where they are asked for and nothing else is."""
        return super().config(
            kind, **{name: self.smaller[name] for name in self.smaller if name in kind.model_fields} | changes
        )

    @property
    def smaller(self) -> dict[str, Any]:
        """The sizes that `--quick` sets: fields that were not given another value."""
        fields = type(self).model_fields
        return {
            name: value
            for name, value in self.quick_sizes.items()
            if self.quick and getattr(self, name) == fields[name].get_default(call_default_factory=True)
        }

    @property
    def quick_note(self) -> str:
        """What a report says of smaller sizes; nothing where they were not asked for."""
        if not self.quick:
            return ""
        sizes = describe_sizes(self.smaller)
        return f"Made with --quick ({sizes}): enough to see that everything runs, too few to measure with."

    @classmethod
    def less(cls) -> str:
        """How to ask for less work."""
        return f"--quick takes {describe_sizes(cls.quick_sizes)}, or give smaller numbers yourself"


def describe_sizes(sizes: Mapping[str, Any]) -> str:
    """Options with their values, as they are typed."""
    shown = {
        name: ",".join(map(str, size)) if isinstance(size, tuple) else size for name, size in sizes.items()
    }
    return ", ".join(f"--{name.replace('_', '-')} {size}" for name, size in shown.items())


def _write(model: Engine, plan: AnswerPlan, n_side: int, n_tokens: int) -> Sequence[int]:
    """How long the first answers get with at most so many tokens; a fair mixture of the plan's rows."""
    from dataclasses import replace

    # Every so many-th row: the first of a plan may be one arm, or one side of a contrast.
    stride = max(1, len(plan.rows) // n_side)
    chosen = range(0, stride * n_side, stride)
    answers = model.generate(
        [plan.rows[row] for row in chosen],
        replace(plan.sampling, max_new_tokens=n_tokens),
        edits=None if plan.edits is None else [plan.edits[row] for row in chosen],
        reads=plan.reads,
        seeds=[plan.seeds[row] for row in chosen],
        batch_rows=n_side,
    )
    return [len(answer.row.answer) for answer in answers]

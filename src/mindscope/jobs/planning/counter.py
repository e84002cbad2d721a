"""What the counts of all jobs are made of: rows that are read, answers that are written, and their sum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from mindscope.jobs.planning.paces import CoderSize, PaceSource
from mindscope.jobs.planning.results import PlannedPhase, show_bytes
from mindscope.jobs.planning.sizes import PlanSizes

if TYPE_CHECKING:
    from mindscope.models import ModelShape

ADAM = 16
"""Bytes a trained number in float32: itself, its gradient, and two moments."""
LATENTS_PER_DIMENSION = 16
"""As `dictionary train` has it."""
WINDOW = 8
"""Batches in a window of answers, as jobs fill them."""
USUAL_SPREAD = 0.7
"""Of the logarithms of answers' lengths: chats have 0.5 to 1 (`engines/forecast.py`)."""
ROW_SECONDS = 0.5e-3
"""Of one core for making a row of a text or a conversation, where it was not measured: a call of a tokenizer,
and a template, take nearly as long for a short one."""
FIXED_SHARE = 0.5
"""The share of a full step's time that a step with a few rows takes (`engines/forecast.py`)."""
PASS_TOKENS, SHAPES_A_PASS = 1024, 7
"""Tokens of a pass on a CPU, and products of a block whose shape changes with their number."""
COMPILED_SHAPES, COMPILED_BYTES = 1024, 2e5
"""On a CPU a product is compiled for each new shape, and so many are kept (oneDNN's default). Bytes of one:
measured as the organism read 960 rows of drawn lengths, 165 MB."""


@dataclass(frozen=True)
class JobWork:
    """What a job is made of.

    Attributes:
        phases: what is done one after the other.
        memory: by name, bytes beside the process and the weights, on the device that computes.
        disk: by name, bytes of the run.
        host: bytes that stay in the host's memory, whatever computes.
        is_most: whether answers are counted as long as they may be.
        weight_bytes: of a number of the model.
        notes: what is assumed.
        n_models: models of the same size that are in memory at a time.
    """

    phases: tuple[PlannedPhase, ...]
    memory: Mapping[str, float]
    disk: Mapping[str, float]
    host: Mapping[str, float] = field(default_factory=dict)
    is_most: bool = False
    weight_bytes: float | None = None
    notes: tuple[str, ...] = ()
    n_models: int = 1


@dataclass(frozen=True)
class WorkCounter:
    """Counts the work of a job on a model of some shape.

    Attributes:
        shape: the model.
        sizes: the job's.
        pace: what one of each costs.
        split: over how many devices latents and optimisers are shared out.
        row_seconds: what it takes to make a row.
    """

    shape: ModelShape
    sizes: PlanSizes
    pace: PaceSource
    split: int = 1
    row_seconds: float = ROW_SECONDS
    _read: list[int] = field(default_factory=list, init=False)

    @property
    def layers(self) -> int:
        return min(self.sizes.n_layers or self.shape.n_layers, self.shape.n_layers)

    @property
    def latents(self) -> int:
        return self.sizes.n_latents or LATENTS_PER_DIMENSION * self.shape.d_model

    @property
    def coder(self) -> CoderSize:
        """One coder at one layer."""
        return CoderSize(
            self.shape.d_model, self.latents, min(self.sizes.k, self.latents), self.shape.d_model
        )

    def render(self, count: float) -> PlannedPhase:
        """Rows that are made of texts or conversations."""
        return PlannedPhase(name="rows", work=f"{round(count):,} made", seconds=count * self.row_seconds)

    def load(self, name: str, count: float) -> PlannedPhase:
        """Weights that are read from disk."""
        return PlannedPhase(name=f"loading {name}", work=show_bytes(count), seconds=self.pace.load(count))

    def read(self, name: str, rows: int, tokens: int) -> PlannedPhase:
        """Rows that are read at all layers."""
        self.note_read(rows * tokens)
        each = self.pace.read_token(tokens)
        work = f"{rows:,} rows of {tokens:,} tokens"
        return PlannedPhase(name=name, work=work, seconds=rows * tokens * each)

    def note_read(self, tokens: int) -> None:
        """Count tokens that rows of many lengths have, for `compiled_bytes`."""
        self._read.append(tokens)

    @property
    def compiled_bytes(self) -> float:
        """What the products compiled for all these lengths take on a CPU."""
        return COMPILED_BYTES * min(COMPILED_SHAPES, SHAPES_A_PASS * sum(self._read) // PASS_TOKENS)

    def answer_length(self, config: Any) -> tuple[int, bool]:
        """Tokens of an answer, and whether that is the most it may have."""
        if self.sizes.answer_tokens is not None:
            return self.sizes.answer_tokens, False
        return config.max_new_tokens or self.sizes.context, True

    def answers(self, count: int, config: Any, *, reads: bool = False) -> JobWork:
        """Answers under a job's configuration, of which each may be read as it is written."""
        side = min(count, self.sizes.batch_rows or config.batch_rows)
        length, is_most = self.answer_length(config)
        limit = config.max_new_tokens or self.sizes.context
        pace = self.pace.answer(self.sizes.prompt_tokens, side, reads=reads)
        work = f"{count:,} answers of {length:,} tokens, {side} side by side"
        phases = [PlannedPhase(name="answers", work=work, seconds=pace.seconds(count, length))]
        # At the end of every window the longest answers are written on with few beside them.
        windows = -(-count // (WINDOW * side))
        longest = find_longest(length, min(count, WINDOW * side), limit)
        steps = windows * max(0, longest - length)
        if steps:
            tail = f"{steps:,} steps with few rows"
            phases.append(
                PlannedPhase(
                    name="longest answers", work=tail, seconds=steps * FIXED_SHARE * pace.step_seconds
                )
            )
        # A job looks at a few of its first answers before it says how long it will take.
        look = 2 * pace.prompt_seconds + min(52 * pace.step_seconds, 0.1 * pace.seconds(count, length))
        phases.insert(0, PlannedPhase(name="a first look", work="a few tokens", seconds=look))
        # A batch is as wide as its longest answer.
        cache = float(self.shape.cache_bytes) * side * (self.sizes.prompt_tokens + limit)
        memory, disk = {"keys and values": cache}, {"answers": 60.0 * count * length}
        return JobWork(tuple(phases), memory, disk, is_most=is_most)

    def add_to(
        self,
        work: JobWork,
        phases: Any = (),
        host: Mapping[str, float] | None = None,
        disk: Mapping[str, float] | None = None,
        notes: tuple[str, ...] = (),
    ) -> JobWork:
        """Work with more phases behind it, and more that it takes."""
        return JobWork(
            (*work.phases, *phases),
            work.memory,
            {**work.disk, **(disk or {})},
            {**work.host, **(host or {})},
            work.is_most,
            work.weight_bytes,
            notes,
        )


def find_longest(mean: float, count: int, limit: int) -> int:
    """The longest of some answers whose lengths are lognormal with the usual spread, about.

    The largest of n normal variables is expected at the quantile (n - 3/8) / (n + 1/4) (Blom 1958).
    """
    if mean >= limit or count < 2:
        return round(mean)
    place = NormalDist().inv_cdf((count - 0.375) / (count + 0.25))
    above = USUAL_SPREAD * place - USUAL_SPREAD**2 / 2
    return round(min(limit, mean * math.exp(above)))

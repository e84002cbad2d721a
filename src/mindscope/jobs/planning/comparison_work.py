"""How much work it is to compare two models: a gate, and what tuning changed."""

from __future__ import annotations

from typing import Any

from mindscope.core import FrozenSettings
from mindscope.jobs.planning.counter import JobWork, WorkCounter
from mindscope.jobs.planning.results import PlannedPhase

TRAIT_QUESTIONS = 20
"""Held-out questions of a bundled trait."""
LENS_DIRECTIONS = 3
"""Mean differences that claims are made of: at texts, at prompts' ends, and over answers."""


class GateSizes(FrozenSettings):
    """How much a gate measures where its policy says nothing else."""

    max_new_tokens: int = 64
    """The most tokens of any answer."""
    extraction_samples: int = 2
    """Answers to each prompt of a trait whose vectors are not given."""
    samples: int = 3
    """Answers of each model to each question of a trait."""
    calibrating: int = 200
    """Ordinary prompts whose answers by the base set the thresholds of alarms."""
    watched: int = 150
    """Other ordinary prompts, which both models answer under watch."""
    texts: int = 150
    """Ordinary conversations whose answers are predicted."""
    prompts: int = 120
    """Prompts of the comparison."""


GATE = GateSizes()


def count_gate_answers(
    *,
    questions: int,
    judged: int,
    samples: int,
    calibrating: int,
    watched: int,
    screened: int,
) -> dict[str, int]:
    """Answers that both models of a gate write, by section.

    Args:
        questions: different ones, of all traits.
        judged: of all traits that are judged, each trait's by itself.
        samples: answers to each of these.
        calibrating: ordinary prompts for the thresholds; 0 where there are none, as the next.
        watched: ordinary prompts that are watched.
        screened: rows of the data and of what is ordinary whose own answers are written.
    """
    return {
        "behaviour": 2 * judged * samples,
        "shift": 2 * questions,
        "alarms": calibrating + 2 * watched,
        "screening": screened,
    }


def count_gate(counter: WorkCounter) -> JobWork:
    """Vectors of traits, answers of both models, and what they read and predict."""
    from mindscope.personas import ExtractConfig

    sizes, rows = counter.sizes, counter.sizes.rows or 1000
    ordinary = max(GATE.calibrating + GATE.watched, GATE.texts)
    questions = TRAIT_QUESTIONS * sizes.traits
    extraction = ExtractConfig(samples=GATE.extraction_samples, max_new_tokens=GATE.max_new_tokens)
    answers = count_gate_answers(
        questions=questions,
        judged=questions,
        samples=sizes.samples or GATE.samples,
        calibrating=GATE.calibrating,
        watched=GATE.watched,
        screened=rows + ordinary if sizes.form == "exact" else 0,
    )
    vectors = counter.answers(2 * 5 * 20 * GATE.extraction_samples * sizes.traits, extraction, reads=True)
    written = counter.answers(sum(answers.values()), extraction)
    work = counter.add_to(
        written,
        [
            counter.read("data and ordinary conversations", rows + ordinary, sizes.context),
            _predict(counter, "capability", 2 * GATE.texts, sizes.context),
        ],
        notes=("without the comparison of section claims, nulls and remedies; with --vectors without those",),
    )
    return _of_two(work, _renamed(vectors.phases, "vectors: "))


def count_difference(counter: WorkCounter) -> JobWork:
    """Answers of both models, of pushed ones, and distributions along them."""
    from mindscope.diffing import STRENGTHS, TRIED_PROMPTS, DiffConfig

    config = DiffConfig()
    prompts = counter.sizes.rows or config.n_prompts
    directions = LENS_DIRECTIONS + config.n_contexts
    pushed = directions * (len(STRENGTHS) * TRIED_PROMPTS + 4 * min(prompts // 2, config.n_pushed))
    row = counter.sizes.prompt_tokens + counter.answer_length(config)[0]
    work = counter.add_to(
        counter.answers(2 * prompts + pushed, config),
        [
            _predict(counter, "distributions", 2 * 2 * prompts, row),
            _predict(counter, "coherence", directions * len(STRENGTHS) * TRIED_PROMPTS, row),
        ],
        notes=(f"with at most {directions} directions, and without nulls, of which each is about as much",),
    )
    return _of_two(work)


def _predict(counter: WorkCounter, name: str, rows: int, tokens: int) -> PlannedPhase:
    seconds = rows * tokens * counter.pace.predict_token(tokens)
    return PlannedPhase(name=name, work=f"{rows:,} rows of {tokens:,} tokens", seconds=seconds)


def _renamed(phases: tuple[PlannedPhase, ...], prefix: str) -> tuple[PlannedPhase, ...]:
    return tuple(phase.model_copy(update={"name": f"{prefix}{phase.name}"}) for phase in phases)


def _of_two(work: JobWork, before: Any = ()) -> JobWork:
    """The same with a second model in memory, and phases that come before."""
    return JobWork(
        (*before, *work.phases),
        work.memory,
        work.disk,
        work.host,
        work.is_most,
        work.weight_bytes,
        work.notes,
        n_models=2,
    )

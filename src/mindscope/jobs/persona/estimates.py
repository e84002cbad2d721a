"""How much an extraction, a sweep and a steering measurement are to do, before they begin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mindscope.jobs.estimates import WorkEstimate, estimate_answers
from mindscope.store import part_of

if TYPE_CHECKING:
    from mindscope.engines import Engine
    from mindscope.models import SamplingConfig
    from mindscope.personas import (
        AnswerRequest,
        ExtractConfig,
        PersonaVectors,
        SteerConfig,
        SteeringTrial,
        SweepConfig,
        Trait,
    )
    from mindscope.store import Run

CONTRAST = "and the plain answers that a contrast judge compares with"
"""What a contrast judge asks for on top of the rollouts."""
QUICK_DEPTHS = (0.4, 0.55, 0.7)
"""Where `--quick` tries to steer, as shares of the depth: around the paper's choices."""


def estimate_extraction(
    model: Engine, trait: Trait, run: Run, config: ExtractConfig, *, judged: bool, more: str = ""
) -> WorkEstimate | None:
    """What extracting takes, with what may come on top; None where all answers are there."""
    from mindscope.personas import count_kept, plan_answers, plan_rollouts, rollout_reads

    requests = plan_rollouts(trait, samples=config.samples, seed=config.seed, questions=config.questions)
    kept = count_kept(run, part_of("extract", trait.name))
    if kept >= len(requests):
        return None
    plan = plan_answers(model, _some(requests, config), config, reads=rollout_reads(model))
    calls = 2 * len(requests) if judged else 0
    return estimate_answers(model, plan, answers=len(requests), kept=kept, judge_calls=calls, more=more)


def estimate_sweep(
    model: Engine, vectors: PersonaVectors, trait: Trait, run: Run, config: SweepConfig
) -> WorkEstimate | None:
    """What a sweep takes, without the random vectors of the points that it then tries; None where the answers
    of the grid are there.
    """
    from mindscope.personas import CONTROLS, AnswerRequest, count_kept, plan_answers, steering_edits

    questions = trait.questions("evaluation")[: config.questions]
    layers = config.layers if config.layers is not None else vectors.layers
    points = [(layer, coefficient) for layer in layers for coefficient in config.coefficients]
    answers = (1 + len(points)) * len(questions) * config.samples
    name, each = part_of("sweep", trait.name), len(questions) * config.samples
    asked = {"unsteered", *(f"{layer}x{coefficient:g}" for layer, coefficient in points)}
    parts = run.load_json(f"{name}/grid.json") if run.has(f"{name}/grid.json") else {}
    kept = sum(
        min(len(asked.intersection(arms)) * each, count_kept(run, f"{name}/{part}"))
        for part, arms in parts.items()
    )
    if kept >= answers:
        return None
    requests = [
        AnswerRequest(
            question,
            seed=0,
            edits=steering_edits(vectors.direction(layer, config.kind), coefficient, config.positions),
        )
        for question in questions
        for layer, coefficient in points
    ]
    plan = plan_answers(model, _some(requests, config), config)
    control = config.n_random * len(questions) * config.samples
    more = f"and {control} answers with random vectors for each of 1 to {CONTROLS} points"
    return estimate_answers(model, plan, answers=answers, kept=kept, judge_calls=2 * answers, more=more)


def estimate_steering(
    model: Engine, planned: SteeringTrial, run: Run, config: SteerConfig, *, judged: bool
) -> WorkEstimate | None:
    """What a steering measurement takes: three arms and one for each random draw; None where all answers are
    there.

    Measured without edits, which add little to a step (`benchmarks/decoding.py`).
    """
    from mindscope.personas import AnswerRequest, count_kept, plan_answers

    requests = [AnswerRequest(question, seed=0) for question in planned.questions] * len(planned.arms)
    answers = len(requests) * config.samples
    kept = count_kept(run, planned.place)
    if kept >= answers:
        return None
    plan = plan_answers(model, _some(requests, config), config)
    calls = 2 * answers if judged else 0
    return estimate_answers(model, plan, answers=answers, kept=kept, judge_calls=calls)


def quick_layers(layers: Sequence[int]) -> tuple[int, ...]:
    """The layers that `--quick` sweeps."""
    return tuple(sorted({layers[min(len(layers) - 1, round(depth * len(layers)))] for depth in QUICK_DEPTHS}))


def _some(requests: Sequence[AnswerRequest], config: SamplingConfig) -> Sequence[AnswerRequest]:
    """As many requests as are written side by side, from all over the plan."""
    size = min(len(requests), config.batch_rows)
    return [requests[index * len(requests) // size] for index in range(size)]

"""One trait in a demo: its vectors, where to steer, and what steering does on questions that are held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mindscope.jobs.demo.lexicon import score_sentiment
from mindscope.jobs.demo.results import DemoScores

if TYPE_CHECKING:
    from mindscope.core import Progress
    from mindscope.jobs.demo.spec import DemoPreset, DemoSpec
    from mindscope.judges import Judge
    from mindscope.models import Model
    from mindscope.personas import PersonaVectors, SteeringResult, SweepPoint, SweepResult, Trait
    from mindscope.store import Run


@dataclass(frozen=True)
class TraitDemo:
    """All that was made of one trait."""

    trait: Trait
    judge: Judge
    vectors: PersonaVectors
    sweep: SweepResult
    steering: SteeringResult

    @property
    def point(self) -> SweepPoint:
        """Where it is steered, and how strongly."""
        return self.sweep.choice()

    def scores(self) -> DemoScores:
        """What steering did to it."""
        return DemoScores(**self.steering.summary().to_json(), lexicon=score_sentiment(self.steering))


def show_trait(
    trait: Trait, model: Model, spec: DemoSpec, preset: DemoPreset, run: Run, progress: Progress
) -> TraitDemo:
    """Extract the vectors, sweep, and steer the questions that the sweep has not seen.

    Raises:
        JudgeError: a contrast judge cannot tell the trait's answers from their opposites.
        DataError: too few pairs of answers are usable, or no point of the sweep beats random vectors.
    """
    from mindscope.personas import (
        JUDGE_FILE,
        ExtractConfig,
        SteerConfig,
        SweepConfig,
        contrast_recipe,
        extract_vectors,
        held_out,
        measure_steering,
        sweep_coefficients,
    )
    from mindscope.store import part_of

    drawing = {
        "temperature": preset.temperature,
        "max_new_tokens": preset.max_new_tokens,
        "seed": spec.seed,
    }
    recipe = contrast_recipe(spec.judge_name())
    judge = None if recipe is not None else spec.find_judge(model, run.path / "judge.jsonl")
    extraction = ExtractConfig(samples=spec.samples, questions=preset.questions, **drawing)
    vectors = extract_vectors(model, trait, recipe or judge, run, extraction, progress=progress)
    if recipe is not None:
        judge = recipe.load(model, run.path / part_of("extract", trait.name) / JUDGE_FILE)
    assert judge is not None
    sweeping = SweepConfig(
        layers=_layers(preset, model.n_layers),
        coefficients=preset.coefficients,
        questions=preset.sweep_questions,
        samples=preset.sweep_samples,
        tie=preset.tie,
        coherence_floor=preset.coherence_floor,
        n_random=min(3, preset.n_random),
        **drawing,
    )
    sweep = sweep_coefficients(model, vectors, trait, judge, run, sweeping, progress=progress)
    point = sweep.choice()
    steering = measure_steering(
        model,
        vectors,
        trait,
        judge,
        run,
        SteerConfig(
            layer=point.layer,
            coefficient=point.coefficient,
            samples=preset.steered_samples,
            n_random=preset.n_random,
            **drawing,
        ),
        questions=held_out(trait, sweep)[: preset.held_out],
        progress=progress,
    )
    return TraitDemo(trait, judge, vectors, sweep, steering)


def _layers(preset: DemoPreset, n_layers: int) -> tuple[int, ...] | None:
    """The blocks at the preset's depths; None for all."""
    if preset.depths is None:
        return None
    return tuple(dict.fromkeys(min(n_layers - 1, round(depth * n_layers)) for depth in preset.depths))

"""One trait in a demo: its vectors, where to steer, and what steering does on questions that are held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    trait: Trait,
    model: Model,
    spec: DemoSpec,
    preset: DemoPreset,
    run: Run,
    progress: Progress,
    *,
    first: bool,
) -> TraitDemo:
    """Extract the vectors, sweep, and steer the questions that the sweep has not seen.

    Args:
        trait: what is shown.
        model: of whom.
        spec: what is asked for.
        preset: how much is drawn and tried.
        run: keeps everything.
        progress: is told how it goes.
        first: whether it is the first trait, for which more answers are drawn.

    Raises:
        JudgeError: a contrast judge cannot tell the trait's answers from their opposites.
        DataError: too few pairs of answers are usable, or no point of the sweep beats random vectors.
    """
    rank = 0 if first else 1
    vectors, judge = _extract(trait, model, preset.samples[rank], spec, preset, run, progress)
    sweep = _sweep(trait, model, vectors, judge, spec, preset, run, progress)
    steering = _steer(
        trait, model, vectors, judge, sweep, preset.steered_samples[rank], spec, preset, run, progress
    )
    return TraitDemo(trait, judge, vectors, sweep, steering)


def _extract(
    trait: Trait,
    model: Model,
    samples: int,
    spec: DemoSpec,
    preset: DemoPreset,
    run: Run,
    progress: Progress,
) -> tuple[PersonaVectors, Judge]:
    from mindscope.personas import JUDGE_FILE, ExtractConfig, contrast_recipe, extract_vectors
    from mindscope.store import part_of

    recipe = contrast_recipe(spec.judge_name())
    judge = None if recipe is not None else spec.find_judge(model, run.path / "judge.jsonl")
    config = ExtractConfig(samples=samples, questions=preset.questions, **_drawing(spec, preset))
    vectors = extract_vectors(model, trait, recipe or judge, run, config, progress=progress)
    if recipe is not None:
        judge = recipe.load(model, run.path / part_of("extract", trait.name) / JUDGE_FILE)
    assert judge is not None  # a recipe or a judge was found
    return vectors, judge


def _sweep(
    trait: Trait,
    model: Model,
    vectors: PersonaVectors,
    judge: Judge,
    spec: DemoSpec,
    preset: DemoPreset,
    run: Run,
    progress: Progress,
) -> SweepResult:
    from mindscope.personas import SweepConfig, sweep_coefficients

    config = SweepConfig(
        layers=_layers(preset, model.n_layers),
        coefficients=preset.coefficients,
        questions=preset.sweep_questions,
        samples=preset.sweep_samples,
        tie=preset.tie,
        coherence_floor=preset.coherence_floor,
        n_random=min(3, preset.n_random),
        **_drawing(spec, preset),
    )
    return sweep_coefficients(model, vectors, trait, judge, run, config, progress=progress)


def _steer(
    trait: Trait,
    model: Model,
    vectors: PersonaVectors,
    judge: Judge,
    sweep: SweepResult,
    samples: int,
    spec: DemoSpec,
    preset: DemoPreset,
    run: Run,
    progress: Progress,
) -> SteeringResult:
    from mindscope.personas import SteerConfig, held_out, measure_steering

    point = sweep.choice()
    config = SteerConfig(
        layer=point.layer,
        coefficient=point.coefficient,
        samples=samples,
        n_random=preset.n_random,
        **_drawing(spec, preset),
    )
    questions = held_out(trait, sweep)[: preset.held_out]
    return measure_steering(model, vectors, trait, judge, run, config, questions=questions, progress=progress)


def _drawing(spec: DemoSpec, preset: DemoPreset) -> dict[str, Any]:
    """How every answer is drawn."""
    return {
        "temperature": preset.temperature,
        "max_new_tokens": preset.max_new_tokens,
        "seed": spec.seed,
    }


def _layers(preset: DemoPreset, n_layers: int) -> tuple[int, ...] | None:
    """The blocks at the preset's depths; None for all."""
    if preset.depths is None:
        return None
    return tuple(dict.fromkeys(min(n_layers - 1, round(depth * n_layers)) for depth in preset.depths))

"""What steering does to answers: with the vector, against it, with random vectors, and without any."""

from collections.abc import Sequence

from mindscope.core import Progress
from mindscope.engines import Engine
from mindscope.judges import Judge
from mindscope.models import SamplingConfig, describe_prompts
from mindscope.personas.config import SteerConfig
from mindscope.personas.steering.arms import (
    AGAINST,
    RANDOM,
    STEERED,
    UNSTEERED,
    SteeringArm,
    ask_all,
    random_arms,
    steering_edits,
    summarise_arm,
)
from mindscope.personas.steering.results import SteeredArm, SteeringResult
from mindscope.personas.trait import Trait
from mindscope.personas.vectors import PersonaVectors
from mindscope.store import Run, claim, digest, part_of


def measure_steering(
    model: Engine,
    vectors: PersonaVectors,
    trait: Trait,
    judge: Judge,
    run: Run,
    config: SteerConfig,
    *,
    questions: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> SteeringResult:
    """Answers ``questions`` (default: the trait's evaluation questions) without a system prompt.

    Four arms: unsteered, steered with ``coefficient * v``, against with ``-coefficient * v``, and the
    mean over ``n_random`` random vectors of ``v``'s norm, whose seeds are fixed by the configuration. To
    report the pair a sweep chose, pass :func:`held_out` questions, which the sweep has not seen.

    Under ``steer/{trait}/`` the run holds ``steering.json``, the latest result, and a folder of answers and
    scores for every setting that was tried. Raises DataError for another model's vectors.
    """
    vectors.require(model)
    model = model.with_template(clock=run.started)
    asked = tuple(questions) if questions is not None else trait.questions("evaluation")
    name = part_of("steer", trait.name)
    setup = {
        "vectors": vectors.digest(),
        "trait": trait.document(),
        "questions": asked,
        "judge": judge.name,
        "template": describe_prompts(model),
        "config": config.deciding(),
    }
    place = f"{name}/{config.layer}x{config.coefficient:g}-{digest(setup)}"
    claim(run, place, setup)
    direction = vectors.direction(config.layer, config.kind)
    arms = [
        SteeringArm(UNSTEERED),
        SteeringArm(STEERED, steering_edits(direction, config.coefficient, config.positions)),
        SteeringArm(AGAINST, steering_edits(direction, -config.coefficient, config.positions)),
        *random_arms(direction, config.coefficient, config.positions, config.n_random, config.seed),
    ]
    samples = ask_all(model, arms, asked, trait.rubric(), judge, run, place, config, progress)

    def scored(arm: str) -> SteeredArm:
        return SteeredArm(scores=summarise_arm(samples[arm], len(asked)), samples=tuple(samples[arm]))

    result = SteeringResult(
        trait=trait.name,
        fingerprint=model.fingerprint,
        borrowed=model.borrowed,
        config=config,
        questions=asked,
        unsteered=scored(UNSTEERED),
        steered=scored(STEERED),
        against=scored(AGAINST),
        random=scored(RANDOM),
    )
    result.save(run.path / name / "steering.json")
    return result


def measure_trait(
    model: Engine,
    trait: Trait,
    judge: Judge,
    run: Run,
    name: str,
    config: SamplingConfig,
    questions: Sequence[str],
    *,
    progress: Progress | None = None,
) -> SteeredArm:
    """How much of a trait a model shows by itself: the unsteered arm of :func:`measure_steering`.

    With the configuration of such a measurement the answers are drawn from the same seeds, so that a tuned
    model can be compared with its base question by question. They are kept in the folder ``name`` of the run.
    """
    model = model.with_template(clock=run.started)
    setup = {
        "fingerprint": model.fingerprint,
        "trait": trait.document(),
        "questions": list(questions),
        "judge": judge.name,
        "template": describe_prompts(model),
        "config": config.deciding(*SamplingConfig.model_fields),
    }
    claim(run, name, setup)
    arms = [SteeringArm(UNSTEERED)]
    samples = ask_all(model, arms, questions, trait.rubric(), judge, run, name, config, progress)[UNSTEERED]
    return SteeredArm(scores=summarise_arm(samples, len(questions)), samples=tuple(samples))

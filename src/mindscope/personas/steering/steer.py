"""What steering does to answers: with the vector, against it, with random vectors, and without any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mindscope.core import Progress
from mindscope.engines import Engine
from mindscope.errors import DataError
from mindscope.features import Direction, DirectionFinder, SteerLayers, compile_steering
from mindscope.judges import Judge
from mindscope.models import SamplingConfig, describe_prompts
from mindscope.personas.config import SteerConfig, VectorKind
from mindscope.personas.judging import scores_place, without_judge
from mindscope.personas.steering.arms import (
    AGAINST,
    RANDOM,
    STEERED,
    UNSTEERED,
    SteeringArm,
    ask_all,
    digest_edits,
    random_arms,
    summarise_arm,
)
from mindscope.personas.steering.results import SteeredArm, SteeringResult
from mindscope.personas.trait import Trait
from mindscope.personas.vectors import PersonaVectors
from mindscope.store import Run, claim, digest, part_of


@dataclass(frozen=True)
class SteeringTrial:
    """What a measurement of steering asks, by which arms, and where in the run it keeps the answers.

    Attributes:
        questions: each of them is asked in every arm, `config.samples` times.
        arms: unsteered, steered, against, and random draws.
        steered_by: the expression that is steered by.
        place: the part of the run, whose name the setup decides.
        setup: all that decides the answers.
    """

    questions: tuple[str, ...]
    arms: tuple[SteeringArm, ...]
    steered_by: str
    place: str
    setup: Mapping[str, Any]


def plan_steering(
    model: Engine,
    vectors: PersonaVectors | None,
    trait: Trait | None,
    run: Run,
    config: SteerConfig,
    *,
    questions: Sequence[str] | None = None,
    find: DirectionFinder | None = None,
) -> SteeringTrial:
    """What :func:`measure_steering` does with the same arguments, before anything is asked.

    Raises:
        DataError: another model's vectors, or an expression that cannot be read or names what there is not.
    """
    if vectors is not None:
        vectors.require(model)
    asked = tuple(questions or ()) if trait is None else tuple(questions or trait.questions("evaluation"))
    expression = config.expression("" if trait is None else trait.name)
    find = find or _finder(vectors, config.kind)
    steered = compile_steering(expression, find, config.positions)
    against = compile_steering(expression.scaled(-1), find, config.positions) if expression.adds else ()
    setup = {
        "edits": digest_edits(steered),
        "trait": trait and trait.document(),
        "questions": asked,
        "template": describe_prompts(model.with_template(clock=run.started)),
        "config": config.deciding(),
    }
    pair = f"{config.layer}x{config.coefficient:g}-" if config.coefficient is not None else ""
    return SteeringTrial(
        questions=asked,
        arms=(
            SteeringArm(UNSTEERED),
            SteeringArm(STEERED, steered),
            *([SteeringArm(AGAINST, against)] if against else []),
            *random_arms(steered, config.n_random, config.seed),
        ),
        steered_by=str(expression),
        place=f"{_part(trait)}/{pair}{digest(setup)}",
        setup=setup,
    )


def measure_steering(
    model: Engine,
    vectors: PersonaVectors | None,
    trait: Trait | None,
    judge: Judge | None,
    run: Run,
    config: SteerConfig,
    *,
    questions: Sequence[str] | None = None,
    find: DirectionFinder | None = None,
    progress: Progress | None = None,
) -> SteeringResult:
    """Answers ``questions`` (default: the trait's evaluation questions) without a system prompt.

    Four arms: unsteered, steered by the expression of ``config`` (or with ``coefficient * v``), against with
    what is added turned round, and the mean over ``n_random`` draws of random vectors of the same norms,
    whose seeds are fixed by the configuration. An expression that adds nothing has nothing to turn round,
    and no answers against. To report the pair a sweep chose, pass :func:`held_out` questions, which the sweep
    has not seen.

    Under ``steer/{trait}/`` the run holds ``steering.json``, the latest result, and a folder of answers and
    scores for every setting that was tried. Another judge scores the answers that are there.

    Args:
        model: who answers.
        vectors: the trait's; None where an expression names all that it means.
        trait: what is scored; None where nothing is, and questions are given.
        judge: who scores; None leaves the answers without scores.
        run: keeps answers, scores and the result.
        config: what is steered by, and how answers are drawn.
        questions: what is asked.
        find: gives the directions of an expression's names; by default those of the trait's own vectors.
        progress: called with answers, then scores done.

    Raises:
        DataError: another model's vectors, an expression that cannot be read or names what there is not, or
            no trait where one is needed.
    """
    if trait is None and (judge is not None or questions is None):
        raise DataError("name the trait that is scored, and whose questions are asked")
    plan = plan_steering(model, vectors, trait, run, config, questions=questions, find=find)
    model, asked, place = model.with_template(clock=run.started), plan.questions, plan.place
    claim(run, place, plan.setup, read=without_judge)
    scorer = None if judge is None or trait is None else (trait.rubric(), judge)
    scores = None if judge is None else scores_place(run, place, place, judge)
    samples = ask_all(model, plan.arms, asked, scorer, run, place, config, scores=scores, progress=progress)

    def scored(arm: str) -> SteeredArm:
        answers = samples.get(arm, [])
        return SteeredArm(scores=summarise_arm(answers, len(asked)), samples=tuple(answers))

    result = SteeringResult(
        trait=None if trait is None else trait.name,
        fingerprint=model.fingerprint,
        borrowed=model.borrowed,
        config=config,
        steered_by=plan.steered_by,
        questions=asked,
        unsteered=scored(UNSTEERED),
        steered=scored(STEERED),
        against=scored(AGAINST),
        random=scored(RANDOM),
    )
    result.save(run.path / _part(trait) / "steering.json")
    return result


def _part(trait: Trait | None) -> str:
    """The part of a run that holds all measurements of a trait, or of what is not scored."""
    return part_of("steer", "texts" if trait is None else trait.name)


def _finder(vectors: PersonaVectors | None, kind: VectorKind) -> DirectionFinder:
    """The directions of the trait's own vectors, by the trait's name; layers must be said."""

    def find(name: str, layers: SteerLayers) -> Sequence[Direction]:
        if vectors is None or name != vectors.trait:
            raise DataError(f"there is no vector {name!r} here: say what it means (find)")
        if layers is None:
            raise DataError(f"say at which layers {name} is added: {name}@12")
        return [vectors.direction(layer, kind) for layer in (vectors.layers if layers == "all" else layers)]

    return find


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
    scorer = (trait.rubric(), judge)
    samples = ask_all(model, arms, questions, scorer, run, name, config, progress=progress)[UNSTEERED]
    return SteeredArm(scores=summarise_arm(samples, len(questions)), samples=tuple(samples))

"""Which layer and which coefficient: every pair of them steers the evaluation questions and is scored."""

from collections.abc import Callable, Mapping, Sequence

from mindscope.core import Progress
from mindscope.engines import Engine
from mindscope.errors import DataError
from mindscope.judges import Judge
from mindscope.models import describe_prompts
from mindscope.personas.config import TIE, SweepConfig, read_config_with_scope
from mindscope.personas.steering.arms import (
    RANDOM,
    UNSTEERED,
    SteeringArm,
    ask_all,
    random_arms,
    steering_edits,
    summarise_arm,
    surely_higher,
)
from mindscope.personas.steering.results import ArmScores, SweepPoint, SweepResult
from mindscope.personas.trait import Trait
from mindscope.personas.vectors import PersonaVectors
from mindscope.store import Run, claim, part_of

CONTROLS = 8
"""How many of the best points are tried against random vectors before the sweep gives up."""


def sweep_coefficients(
    model: Engine,
    vectors: PersonaVectors,
    trait: Trait,
    judge: Judge,
    run: Run,
    config: SweepConfig | None = None,
    *,
    progress: Progress | None = None,
) -> SweepResult:
    """Steers the evaluation questions, without a system prompt, at every layer with every coefficient.

    All points go through the same batches, each row with its own edits. The pair chosen has the highest
    mean trait score among those whose mean coherence is at least the floor and where at least half of
    the answers have a score. Within ``tie`` points of the highest score the most coherent pair wins,
    since a vector is of no use where it breaks the text. A pair must also beat random vectors of the
    same norm, question by question, with 97.5 % confidence: else the next best is tried. (Chen et al.
    2025 steer each layer with one coefficient and take the layer with the highest trait score.)

    Under ``sweep/{trait}/`` the run holds every answer and score, and ``sweep.json``. Killed and called
    again it goes on. Raises DataError for another model's vectors and StoreError when the run holds
    this part made from other vectors, trait, judge or configuration.
    """
    config = config or SweepConfig()
    vectors.require(model)
    model = model.with_template(clock=run.started)
    name = part_of("sweep", trait.name)
    claim(
        run,
        name,
        {
            "vectors": vectors.digest(),
            "trait": trait.document(),
            "judge": judge.name,
            "template": describe_prompts(model),
            "config": config.deciding(),
        },
        read=read_config_with_scope,
    )
    questions = trait.questions("evaluation")[: config.questions]
    layers = config.layers if config.layers is not None else vectors.layers
    directions = {layer: vectors.direction(layer, config.kind) for layer in layers}

    def measure(arms: Sequence[SteeringArm], part: str) -> Mapping[str, ArmScores]:
        samples = ask_all(
            model, arms, questions, trait.rubric(), judge, run, f"{name}/{part}", config, progress
        )
        return {arm: summarise_arm(answers, len(questions)) for arm, answers in samples.items()}

    def control(point: SweepPoint) -> ArmScores:
        direction = directions[point.layer]
        arms = random_arms(direction, point.coefficient, config.positions, config.n_random, config.seed)
        return measure(arms, f"random/{point.layer}x{point.coefficient:g}")[RANDOM]

    grid = {f"{layer}x{c:g}": (layer, c) for layer in layers for c in config.coefficients}
    steered = [
        SteeringArm(arm, steering_edits(directions[layer], c, config.positions))
        for arm, (layer, c) in grid.items()
    ]
    scores = measure([SteeringArm(UNSTEERED), *steered], "grid")
    points = [SweepPoint(layer=layer, coefficient=c, scores=scores[arm]) for arm, (layer, c) in grid.items()]
    points, chosen = choose_point(points, scores[UNSTEERED], config.coherence_floor, control, config.tie)
    result = SweepResult(
        trait=trait.name,
        fingerprint=model.fingerprint,
        borrowed=model.borrowed,
        config=config,
        questions=questions,
        unsteered=scores[UNSTEERED],
        points=tuple(points),
        chosen=chosen,
    )
    result.save(run.path / name / "sweep.json")
    return result


def choose_point(
    points: Sequence[SweepPoint],
    unsteered: ArmScores,
    coherence_floor: float,
    control: Callable[[SweepPoint], ArmScores],
    tie: float = TIE,
) -> tuple[list[SweepPoint], int | None]:
    """The points, those that were tried with their random scores, and the index of the one to steer with.

    ``control`` measures random vectors at a point; it is called for one candidate after
    another, best first, until one beats its own, at most ``CONTROLS`` times.
    """
    tried = list(points)
    candidates = {i for i, point in enumerate(points) if _qualifies(point, unsteered, coherence_floor)}
    for _ in range(min(CONTROLS, len(candidates))):
        best = _best(points, candidates, tie)
        random = control(points[best])
        tried[best] = points[best].model_copy(update={"random": random})
        if surely_higher(points[best].scores, random):
            return tried, best
        candidates.remove(best)
    return tried, None


def held_out(trait: Trait, sweep: SweepResult) -> tuple[str, ...]:
    """The evaluation questions that the sweep has not seen; DataError when it saw all."""
    unseen = tuple(question for question in trait.questions("evaluation") if question not in sweep.questions)
    if not unseen:
        raise DataError(
            f"the sweep used all {len(sweep.questions)} evaluation questions of '{trait.name}': "
            "sweep with fewer questions, or add evaluation questions to the trait"
        )
    return unseen


def _qualifies(point: SweepPoint, unsteered: ArmScores, coherence_floor: float) -> bool:
    trait, coherence, before = point.scores.trait, point.scores.coherence, unsteered.trait
    if trait is None or coherence is None or 2 * point.scores.unscored > point.scores.answers:
        return False
    return coherence.mean >= coherence_floor and (before is None or trait.mean > before.mean)


def _best(points: Sequence[SweepPoint], candidates: set[int], tie: float) -> int:
    traits = {i: trait.mean for i in candidates if (trait := points[i].scores.trait)}
    coherences = {i: coherence.mean for i in candidates if (coherence := points[i].scores.coherence)}
    near = [i for i in sorted(candidates) if traits[i] >= max(traits.values()) - tie]
    return max(near, key=lambda i: coherences[i])

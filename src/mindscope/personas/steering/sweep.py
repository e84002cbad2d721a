"""Which layer and which coefficient: every pair of them steers the evaluation questions and is scored."""

from collections.abc import Callable, Mapping, Sequence

from mindscope.core import Progress
from mindscope.engines import Engine
from mindscope.errors import DataError
from mindscope.judges import Judge
from mindscope.models import describe_prompts
from mindscope.personas.config import TIE, SweepConfig, read_grid_setup
from mindscope.personas.judging import scores_place
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
from mindscope.personas.steering.results import ArmScores, ScoredAnswer, SweepPoint, SweepResult
from mindscope.personas.trait import Trait
from mindscope.personas.vectors import PersonaVectors
from mindscope.store import Run, claim, digest, part_of

GRID = "grid"
TEXTS = 3
"""Questions whose answers are kept with each point, to be read on the page."""
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
    again it goes on. Called again with other layers or coefficients, or another judge, it keeps the answers
    that are there and adds the others; the result is about what was asked for last.

    Raises DataError for another model's vectors and StoreError when the run holds this part made from other
    vectors, another trait or another way of answering.
    """
    config = config or SweepConfig()
    vectors.require(model)
    model = model.with_template(clock=run.started)
    name = part_of("sweep", trait.name)
    setup = {
        "vectors": vectors.digest(),
        "trait": trait.document(),
        "template": describe_prompts(model),
        "config": config.deciding(),
    }
    claim(run, name, read_grid_setup(setup), read=read_grid_setup)
    questions = trait.questions("evaluation")[: config.questions]
    layers = config.layers if config.layers is not None else vectors.layers

    def steered(layer: int, coefficient: float, arm: str) -> SteeringArm:
        direction = vectors.direction(layer, config.kind)
        return SteeringArm(arm, steering_edits(direction, coefficient, config.positions))

    def ask(arms: Sequence[SteeringArm], part: str) -> Mapping[str, list[ScoredAnswer]]:
        place = f"{name}/{part}"
        scores, scorer = scores_place(run, name, place, judge), (trait.rubric(), judge)
        return ask_all(model, arms, questions, scorer, run, place, config, scores=scores, progress=progress)

    def control(point: SweepPoint) -> ArmScores:
        (edit,) = steered(point.layer, point.coefficient, RANDOM).edits
        arms = random_arms([edit], config.n_random, config.seed)
        answers = ask(arms, f"random/{point.layer}x{point.coefficient:g}")
        return summarise_arm(answers[RANDOM], len(questions))

    grid = {f"{layer}x{c:g}": (layer, c) for layer in layers for c in config.coefficients}
    answers: dict[str, list[ScoredAnswer]] = {}
    for part, names in plan_grid(run, name, [UNSTEERED, *grid], vectors.layers).items():
        arms = [
            SteeringArm(UNSTEERED) if arm == UNSTEERED else steered(*_point_of(arm), arm) for arm in names
        ]
        answers |= ask(arms, part)
    scores = {arm: summarise_arm(answers[arm], len(questions)) for arm in (UNSTEERED, *grid)}
    points = [
        SweepPoint(layer=layer, coefficient=c, scores=scores[arm], samples=_shown(answers[arm], questions))
        for arm, (layer, c) in grid.items()
    ]
    points, chosen = choose_point(points, scores[UNSTEERED], config.coherence_floor, control, config.tie)
    result = SweepResult(
        trait=trait.name,
        fingerprint=model.fingerprint,
        borrowed=model.borrowed,
        config=config,
        questions=questions,
        unsteered=scores[UNSTEERED],
        unsteered_samples=_shown(answers[UNSTEERED], questions),
        points=tuple(points),
        chosen=chosen,
    )
    result.save(run.path / name / "sweep.json")
    return result


def plan_grid(
    run: Run, name: str, asked: Sequence[str], vector_layers: Sequence[int]
) -> dict[str, list[str]]:
    """By part of the run, the arms whose answers are or will be there, so that every arm asked for is one.

    Arms that no earlier sweep of the run had become a part of their own, which is written down before
    anything is answered: a sweep that is killed goes on with the same parts. Parts without any arm that is
    asked for are left out.

    Args:
        run: the run.
        name: of the sweep's folder.
        asked: names of arms, such as 12x1.5.
        vector_layers: the layers of a sweep that named none.
    """
    piece = f"{name}/grid.json"
    parts: dict[str, list[str]] = {}
    if run.has(piece):
        parts = run.load_json(piece)
    elif run.has(f"{name}/{GRID}/shards.json"):  # of a version whose grid could not grow
        config = run.load_json(f"{name}/setup.json")["config"]
        layers = config["layers"] if config["layers"] is not None else vector_layers
        own = [f"{layer}x{c:g}" for layer in layers for c in config["coefficients"]]
        parts = {GRID: [UNSTEERED, *own]}
    known = {arm for arms in parts.values() for arm in arms}
    if new := [arm for arm in asked if arm not in known]:
        parts[f"{GRID}-{digest({'arms': new})}" if parts else GRID] = new
        run.save_json(piece, parts)
    return {part: arms for part, arms in parts.items() if set(arms) & set(asked)}


def _point_of(arm: str) -> tuple[int, float]:
    layer, _, coefficient = arm.partition("x")
    return int(layer), float(coefficient)


def _shown(answers: Sequence[ScoredAnswer], questions: Sequence[str]) -> tuple[ScoredAnswer, ...]:
    """The first answers to the first questions, to be read."""
    return tuple(answers[:: len(answers) // len(questions)][:TEXTS])


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

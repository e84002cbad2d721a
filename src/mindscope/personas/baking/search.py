"""A search for steering to bake: trait, coherence and divergence of every layer and coefficient.

1. Layers whose steering the weights cannot hold are left out, with the reason, before anything is generated.
2. Every point answers the evaluation questions under the edits that its weights would carry out, at every
   token, and is scored by the judge.
3. Every point's divergence from the unsteered model is measured on ordinary texts.
4. The front: the points that no other point beats in trait, divergence and coherence at once.
5. The choice is on the front: the best trait score with coherence above the floor and divergence within the
   budget; of points within `tie` of the best the one that diverges least. It must beat random directions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from mindscope.core import Progress
from mindscope.errors import DataError, ModelError
from mindscope.features import Direction, random_directions
from mindscope.judges import Judge
from mindscope.models import Edit, Model, Row, Sampling, ablate_everywhere, change_weights, describe_prompts
from mindscope.personas.baking.config import BakeConfig
from mindscope.personas.baking.divergence import measure_divergence
from mindscope.personas.baking.results import BakePoint, BakeSearch, RefusedLayer, name_point
from mindscope.personas.steering.arms import (
    RANDOM,
    UNSTEERED,
    SteeringArm,
    ask_all,
    summarise_arm,
    surely_higher,
)
from mindscope.personas.steering.results import ArmScores
from mindscope.personas.trait import Trait
from mindscope.personas.vectors import PersonaVectors
from mindscope.stats import Estimate, bootstrap_interval
from mindscope.store import Run, claim, digest, part_of

CONTROLS = 8
"""How many of the best points are tried against random directions before the search gives up."""
WORST = 0.95
"""The quantile of tokens whose divergence is given beside the mean."""


@dataclass(frozen=True)
class _Candidate:
    layer: int
    coefficient: float | None

    @property
    def name(self) -> str:
        return name_point(self.layer, self.coefficient)


def baked_edits(model: Model, direction: Direction, coefficient: float | None) -> tuple[Edit, ...]:
    """What baked weights do: the vector added at every token; with None its direction ablated everywhere."""
    if coefficient is None:
        return tuple(ablate_everywhere(model, direction.vector))
    return (direction.edit(coefficient, where="all"),)


def search_baking(
    model: Model,
    vectors: PersonaVectors,
    trait: Trait,
    judge: Judge,
    run: Run,
    config: BakeConfig | None = None,
    *,
    ordinary: Sequence[Row] | None = None,
    progress: Progress | None = None,
) -> BakeSearch:
    """Try every layer with every coefficient as its weights would steer, and choose what to bake.

    Under `bake/{trait}/` the run holds every answer, score and divergence, and `search.json`. Killed and
    called again it goes on.

    Args:
        model: in float32.
        vectors: of the trait.
        trait: whose evaluation questions are asked.
        judge: who scores the answers.
        run: where everything is kept.
        config: layers, coefficients, what is wanted.
        ordinary: texts that have nothing to do with the trait; by default the model's own unsteered answers
            to the trait's extraction questions.
        progress: told how it goes.

    Raises:
        DataError: another model's vectors, or fewer than two texts.
        ModelError: the weights can hold nothing of what is asked for.
    """
    config = config or BakeConfig()
    vectors.require(model)
    model = model.with_template(clock=run.started)
    layers = config.layers if config.layers is not None else vectors.layers
    directions = {layer: vectors.direction(layer, config.kind) for layer in layers}
    held, refused = _held_layers(model, directions, config)
    rows = _ordinary_texts(model, trait, config) if ordinary is None else list(ordinary)[: config.texts]
    if len(rows) < 2:
        raise DataError(f"divergence is measured on two texts at least, not {len(rows)}: give more")
    name = part_of("bake", trait.name)
    claim(
        run,
        name,
        {
            "vectors": vectors.digest(),
            "trait": trait.document(),
            "judge": judge.name,
            "template": describe_prompts(model),
            "texts": digest({"rows": [list(row.ids) for row in rows]}),
            "config": config.deciding(),
        },
    )
    questions = trait.questions("evaluation")[: config.questions]
    candidates = _candidates(held, config)

    def edits_of(candidate: _Candidate, direction: Direction | None = None) -> tuple[Edit, ...]:
        return baked_edits(model, direction or directions[candidate.layer], candidate.coefficient)

    def measure(arms: Sequence[SteeringArm], part: str) -> Mapping[str, ArmScores]:
        scorer = (trait.rubric(), judge)
        samples = ask_all(model, arms, questions, scorer, run, f"{name}/{part}", config, progress=progress)
        return {arm: summarise_arm(answers, len(questions)) for arm, answers in samples.items()}

    def control(index: int) -> ArmScores:
        candidate = candidates[index]
        randoms = random_directions(directions[candidate.layer], config.n_random, config.seed)
        arms = [SteeringArm(RANDOM, edits_of(candidate, random)) for random in randoms]
        return measure(arms, f"random/{candidate.name}")[RANDOM]

    programs = {candidate.name: edits_of(candidate) for candidate in candidates}
    steered = [SteeringArm(arm, edits) for arm, edits in programs.items()]
    scores = measure([SteeringArm(UNSTEERED), *steered], "grid")
    diverged = measure_divergence(model, programs, rows, run, name, progress)
    points = [_point(candidate, scores[candidate.name], diverged[candidate.name]) for candidate in candidates]
    points = mark_front(points, config.goal == "raise")
    points, chosen = choose_to_bake(points, scores[UNSTEERED], config, control)
    result = BakeSearch(
        trait=trait.name,
        fingerprint=model.fingerprint,
        borrowed=model.borrowed,
        config=config,
        questions=questions,
        texts=len(rows),
        tokens=sum(len(values) for values in next(iter(diverged.values()))),
        unsteered=scores[UNSTEERED],
        points=tuple(points),
        refused=tuple(refused),
        chosen=chosen,
    )
    result.save(run.path / name / "search.json")
    return result


def mark_front(points: Sequence[BakePoint], higher: bool) -> list[BakePoint]:
    """The points, with those marked that no other beats; a point without a score is beaten.

    Args:
        points: any.
        higher: whether a high trait score is wanted, or a low one.
    """
    worth = [_worth(point, higher) for point in points]

    def beaten(own: tuple[float, float, float] | None) -> bool:
        if own is None:
            return True
        return any(
            other is not None and all(o >= w for o, w in zip(other, own, strict=True)) and other != own
            for other in worth
        )

    return [
        point.model_copy(update={"front": not beaten(own)}) for point, own in zip(points, worth, strict=True)
    ]


def choose_to_bake(
    points: Sequence[BakePoint],
    unsteered: ArmScores,
    config: BakeConfig,
    control: Callable[[int], ArmScores],
) -> tuple[list[BakePoint], int | None]:
    """The points, those that were tried with their random scores, and the index of the one to bake.

    `control` measures random directions at a point; it is called for one candidate after another, best
    first, until one beats its own, at most `CONTROLS` times.
    """
    higher = config.goal == "raise"
    tried = list(points)
    candidates = {i for i, point in enumerate(points) if _qualifies(point, unsteered, config)}
    for _ in range(min(CONTROLS, len(candidates))):
        traits = {i: trait.mean for i in candidates if (trait := points[i].scores.trait)}
        best = max(traits.values()) if higher else min(traits.values())
        near = [i for i in sorted(candidates) if abs(traits[i] - best) <= config.tie]
        index = min(near, key=lambda i: points[i].divergence.mean)
        random, own = control(index), points[index].scores
        tried[index] = points[index].model_copy(update={"random": random})
        if surely_higher(own, random) if higher else surely_higher(random, own):
            return tried, index
        candidates.remove(index)
    return tried, None


def _qualifies(point: BakePoint, unsteered: ArmScores, config: BakeConfig) -> bool:
    trait, coherence, before = point.scores.trait, point.scores.coherence, unsteered.trait
    if not point.front or trait is None or coherence is None:
        return False
    if 2 * point.scores.unscored > point.scores.answers or coherence.mean < config.coherence_floor:
        return False
    if config.most_divergence is not None and point.divergence.mean > config.most_divergence:
        return False
    moved = 0.0 if before is None else trait.mean - before.mean
    return before is None or (moved > 0 if config.goal == "raise" else moved < 0)


def _worth(point: BakePoint, higher: bool) -> tuple[float, float, float] | None:
    trait, coherence = point.scores.trait, point.scores.coherence
    if trait is None or coherence is None:
        return None
    return (trait.mean if higher else -trait.mean, -point.divergence.mean, coherence.mean)


def _held_layers(
    model: Model, directions: Mapping[int, Direction], config: BakeConfig
) -> tuple[list[int], list[RefusedLayer]]:
    held: list[int] = []
    refused: list[RefusedLayer] = []
    for layer, direction in directions.items():
        try:
            change_weights(model, baked_edits(model, direction, 1.0 if config.operation == "add" else None))
            held.append(layer)
        except ModelError as error:
            refused.append(RefusedLayer(layer=layer, reason=str(error)))
    if not held:
        raise ModelError(refused[0].reason)
    return held, refused


def _candidates(layers: Sequence[int], config: BakeConfig) -> list[_Candidate]:
    if config.operation == "ablate":
        return [_Candidate(layer, None) for layer in layers]
    sign = 1 if config.goal == "raise" else -1
    return [_Candidate(layer, sign * c) for layer in layers for c in config.coefficients]


def _ordinary_texts(model: Model, trait: Trait, config: BakeConfig) -> list[Row]:
    """The model's own answers, unsteered and greedy."""
    questions = trait.questions("extraction")[: config.texts]
    rows = [model.chat([{"role": "user", "content": question}]) for question in questions]
    sampling = Sampling(temperature=0, max_new_tokens=min(64, config.max_new_tokens))
    return [answer.row for answer in model.generate(rows, sampling) if answer.row.answer]


def _point(candidate: _Candidate, scores: ArmScores, divergence: Sequence[Sequence[float]]) -> BakePoint:
    means = torch.tensor([sum(values) / len(values) for values in divergence], dtype=torch.float64)
    low, high = bootstrap_interval(means)
    tokens = torch.tensor([value for values in divergence for value in values], dtype=torch.float64)
    return BakePoint(
        layer=candidate.layer,
        coefficient=candidate.coefficient,
        scores=scores,
        divergence=Estimate(mean=means.mean().item(), low=low, high=high),
        worst=tokens.quantile(WORST).item(),
        front=False,
    )

"""What steering does to answers: with the vector, against it, with random vectors, and without any."""

from collections.abc import Sequence
from typing import Any, ClassVar

from mindscope.core import Progress
from mindscope.judges import Judge
from mindscope.models import Model
from mindscope.personas.config import SteerConfig
from mindscope.personas.steering.arms import (
    ArmScores,
    ScoredAnswer,
    SteeringArm,
    ask_all,
    random_arms,
    steering_edits,
    summarise_arm,
)
from mindscope.personas.trait import Trait
from mindscope.personas.vectors import PersonaVectors
from mindscope.store import Document, Run, SavedDocument, claim, digest, html_table, part_of


class SteeredArm(Document):
    scores: ArmScores
    samples: tuple[ScoredAnswer, ...]


class SteeringResult(SavedDocument):
    """The same questions answered in four ways."""

    SCHEMA: ClassVar[str] = "mindscope.steering/1"

    trait: str
    fingerprint: str
    config: SteerConfig
    questions: tuple[str, ...]
    unsteered: SteeredArm
    steered: SteeredArm
    against: SteeredArm
    """The coefficient with its sign turned."""
    random: SteeredArm
    """Over all random vectors of the same norm."""

    def summary(self) -> dict[str, Any]:
        """One row of the table: mean trait scores and coherences, None where nothing was scored."""

        def mean(arm: SteeredArm) -> float | None:
            return arm.scores.trait and round(arm.scores.trait.mean, 2)

        def coherence(arm: SteeredArm) -> float | None:
            return arm.scores.coherence and round(arm.scores.coherence.mean, 2)

        return {
            "unsteered": mean(self.unsteered),
            "steered": mean(self.steered),
            "against": mean(self.against),
            "random": mean(self.random),
            "coherence_unsteered": coherence(self.unsteered),
            "coherence_steered": coherence(self.steered),
            "layer": self.config.layer,
            "coefficient": self.config.coefficient,
        }

    def _repr_html_(self) -> str:
        summary = self.summary()
        return html_table(f"steering: {self.trait}", list(summary), [list(summary.values())])


def measure_steering(
    model: Model,
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
    asked = tuple(questions) if questions is not None else trait.questions("evaluation")
    name = part_of("steer", trait.name)
    setup = {
        "vectors": vectors.digest(),
        "trait": trait.document(),
        "questions": asked,
        "judge": judge.name,
        "config": config.model_dump(mode="json"),
    }
    place = f"{name}/{config.layer}x{config.coefficient:g}-{digest(setup)}"
    claim(run, place, setup)
    direction = vectors.direction(config.layer, config.kind)
    arms = [
        SteeringArm("unsteered"),
        SteeringArm("steered", steering_edits(direction, config.coefficient, config.scope)),
        SteeringArm("against", steering_edits(direction, -config.coefficient, config.scope)),
        *random_arms(direction, config.coefficient, config.scope, config.n_random, config.seed),
    ]
    samples = ask_all(model, arms, asked, trait.rubric(), judge, run, place, config, progress)
    measured = {
        arm: SteeredArm(scores=summarise_arm(each, len(asked)), samples=tuple(each))
        for arm, each in samples.items()
    }
    result = SteeringResult(
        trait=trait.name, fingerprint=model.fingerprint, config=config, questions=asked, **measured
    )
    result.save(run.path / name / "steering.json")
    return result

"""What a sweep and a steering measurement leave: documents, which need no torch."""

from collections.abc import Mapping
from typing import Any, ClassVar

from mindscope.errors import DataError
from mindscope.features import SteerTerm
from mindscope.personas.config import SteerConfig, SweepConfig, read_config_with_scope
from mindscope.stats import Estimate
from mindscope.store import BorrowingDocument, Document, SavedDocument, html_table


class ScoredAnswer(Document):
    """One answer with its scores; None where there is no score."""

    question: str
    answer: str
    trait: float | None
    coherence: float | None
    reasoning: str | None = None
    """What was thought before the answer; None where nothing was."""


class ArmScores(Document):
    """What one arm's answers scored. An estimate is None when no answer has a score."""

    trait: Estimate | None
    coherence: Estimate | None
    answers: int
    unscored: int
    """Answers without a trait score: empty, refused or missing. They count in no mean."""
    by_question: tuple[float | None, ...]
    """Mean trait score per question, in the order asked."""


class SweepPoint(Document):
    """One layer and coefficient."""

    layer: int
    coefficient: float
    scores: ArmScores
    random: ArmScores | None = None
    """The same push in random directions; measured for the best points only."""
    samples: tuple[ScoredAnswer, ...] = ()
    """Its answers to the first questions; none in a result of an older version."""


class SweepResult(SavedDocument, BorrowingDocument):
    """Trait score and coherence over layers and coefficients, and the pair to steer with."""

    SCHEMA: ClassVar[str] = "mindscope.sweep/4"
    READERS: ClassVar = {
        "mindscope.sweep/1": read_config_with_scope,
        "mindscope.sweep/2": dict,
        "mindscope.sweep/3": dict,
    }

    trait: str
    fingerprint: str
    config: SweepConfig
    questions: tuple[str, ...]
    unsteered: ArmScores
    unsteered_samples: tuple[ScoredAnswer, ...] = ()
    """Answers without steering to the questions whose answers the points have."""
    points: tuple[SweepPoint, ...]
    chosen: int | None
    """Index into ``points``; None when no point qualifies."""

    def choice(self) -> SweepPoint:
        """The pair to steer with; DataError when there is none."""
        if self.chosen is None:
            raise DataError(
                f"no layer and coefficient raises '{self.trait}' above what random vectors do with coherence "
                f">= {self.config.coherence_floor:g}: sweep other coefficients, or lower the floor"
            )
        return self.points[self.chosen]

    def _repr_html_(self) -> str:
        rows = [
            [
                point.layer,
                point.coefficient,
                point.scores.trait and point.scores.trait.mean,
                point.scores.coherence and point.scores.coherence.mean,
                "chosen" if index == self.chosen else "",
            ]
            for index, point in enumerate(self.points)
        ]
        columns = ["layer", "coefficient", "trait score", "coherence", ""]
        return html_table(f"sweep: {self.trait}", columns, rows)


class BudgetTrial(Document):
    """One coefficient, and how far steered answers diverge from the unsteered model: KL in nats."""

    coefficient: float
    worst: float
    """The divergence at the token of which 95 % diverge less."""
    mean: float
    tokens: int


class BudgetChoice(Document):
    """The coefficient that a budget of divergence allows, and what was tried."""

    budget: float
    coefficient: float
    trials: tuple[BudgetTrial, ...]


class SteeredArm(Document):
    """The scores of one arm, and its answers."""

    scores: ArmScores
    samples: tuple[ScoredAnswer, ...]


class SteeringScores(Document):
    """Mean trait scores and coherences of the four arms, 0 to 100; None where nothing was scored.

    Layer and coefficient are None where an expression says what was steered by.
    """

    unsteered: float | None
    steered: float | None
    against: float | None
    random: float | None
    coherence_unsteered: float | None
    coherence_steered: float | None
    coherence_against: float | None
    coherence_random: float | None
    layer: int | None
    coefficient: float | None


def _with_expression(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document of schema 4 or older, which steered by one vector at one layer."""
    document = read_config_with_scope(document)
    config = document["config"]
    term = SteerTerm(document["trait"], config["coefficient"], (config["layer"],))
    return {**document, "steered_by": str(term)}


class SteeringResult(SavedDocument, BorrowingDocument):
    """The same questions answered in four ways."""

    SCHEMA: ClassVar[str] = "mindscope.steering/5"
    READERS: ClassVar = {f"mindscope.steering/{number}": _with_expression for number in (1, 2, 3, 4)}

    trait: str | None
    """What was scored; None where nothing was."""
    fingerprint: str
    config: SteerConfig
    steered_by: str
    """The expression of the steered arm."""
    questions: tuple[str, ...]
    unsteered: SteeredArm
    steered: SteeredArm
    against: SteeredArm
    """What is added with its sign turned; no answers where nothing is."""
    random: SteeredArm
    """Over all random vectors of the same norm."""

    def summary(self) -> SteeringScores:
        """The means of the four arms."""

        def rounded(estimate: Estimate | None) -> float | None:
            return None if estimate is None else round(estimate.mean, 2)

        return SteeringScores(
            unsteered=rounded(self.unsteered.scores.trait),
            steered=rounded(self.steered.scores.trait),
            against=rounded(self.against.scores.trait),
            random=rounded(self.random.scores.trait),
            coherence_unsteered=rounded(self.unsteered.scores.coherence),
            coherence_steered=rounded(self.steered.scores.coherence),
            coherence_against=rounded(self.against.scores.coherence),
            coherence_random=rounded(self.random.scores.coherence),
            layer=self.config.layer,
            coefficient=self.config.coefficient,
        )

    def _repr_html_(self) -> str:
        summary = self.summary().to_json()
        return html_table(f"steering: {self.steered_by}", list(summary), [list(summary.values())])

"""What a sweep and a steering measurement leave: documents, which need no torch."""

from typing import ClassVar

from mindscope.errors import DataError
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


class SweepResult(SavedDocument, BorrowingDocument):
    """Trait score and coherence over layers and coefficients, and the pair to steer with."""

    SCHEMA: ClassVar[str] = "mindscope.sweep/3"
    READERS: ClassVar = {"mindscope.sweep/1": read_config_with_scope, "mindscope.sweep/2": dict}

    trait: str
    fingerprint: str
    config: SweepConfig
    questions: tuple[str, ...]
    unsteered: ArmScores
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


class SteeredArm(Document):
    """The scores of one arm, and its answers."""

    scores: ArmScores
    samples: tuple[ScoredAnswer, ...]


class SteeringScores(Document):
    """Mean trait scores and coherences of the four arms, 0 to 100; None where nothing was scored."""

    unsteered: float | None
    steered: float | None
    against: float | None
    random: float | None
    coherence_unsteered: float | None
    coherence_steered: float | None
    coherence_against: float | None
    coherence_random: float | None
    layer: int
    coefficient: float


class SteeringResult(SavedDocument, BorrowingDocument):
    """The same questions answered in four ways."""

    SCHEMA: ClassVar[str] = "mindscope.steering/4"
    READERS: ClassVar = {
        "mindscope.steering/1": read_config_with_scope,
        "mindscope.steering/2": dict,
        "mindscope.steering/3": dict,
    }

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
        return html_table(f"steering: {self.trait}", list(summary), [list(summary.values())])

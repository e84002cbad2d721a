"""What a tuned model's answers show of a trait, and which coefficient a scan chose; needs no torch."""

from typing import ClassVar

from mindscope.store import Document, SavedDocument


class AnswerProjection(Document):
    """Answers to a trait's questions along its vector, all read by the base model.

    In the units of the activations.
    """

    trait: str
    layer: int
    base: float
    """Mean over the base's own answers."""
    tuned: float
    difference: float
    low: float
    """Ends of the 95 % interval of the difference over the questions."""
    high: float
    questions: int
    """Questions that both models answered."""

    @property
    def verdict(self) -> str:
        """Whether the tuned model's answers show more of the trait than the base's."""
        if self.low > 0:
            return "above the base"
        return "below the base" if self.high < 0 else "as the base"

    def __str__(self) -> str:
        return (
            f"answers on {self.trait} at layer {self.layer}, read by the base: base {self.base:.3g}, tuned "
            f"{self.tuned:.3g}, {self.difference:+.3g} ({self.low:.3g} to {self.high:.3g}): {self.verdict}"
        )


class PreventionTrial(Document):
    """A short training with one coefficient."""

    coefficient: float
    """0: untreated."""
    answers: AnswerProjection
    """What the model then says, beside the base."""
    shift: float
    """How far its last prompt token moved along the vector, tuned minus base."""
    loss: float
    """The last step's."""


class PreventionScan(SavedDocument):
    """Short trainings with several coefficients, and the one that is to be used."""

    SCHEMA: ClassVar[str] = "mindscope.prevention/1"

    trait: str
    layer: int
    """Where answers and shifts are measured."""
    steps: int
    trials: tuple[PreventionTrial, ...]
    chosen: float
    """The coefficient."""
    why: str

    def trial(self, coefficient: float) -> PreventionTrial | None:
        """That of a coefficient, if it was tried."""
        return next((trial for trial in self.trials if trial.coefficient == coefficient), None)


def choose_coefficient(trials: tuple[PreventionTrial, ...]) -> tuple[float, str]:
    """The smallest coefficient under which answers are as the base's; else the one that comes nearest.

    The interval must hold 0: surely above is the trait learnt, surely below is its opposite. An untreated
    training that does not raise the trait shows nothing about prevention, and that is said.
    """
    untreated = next((trial for trial in trials if trial.coefficient == 0), None)
    tried = sorted((trial for trial in trials if trial.coefficient != 0), key=lambda t: t.coefficient)
    enough = [trial for trial in tried if trial.answers.verdict == "as the base"]
    best = min(tried, key=lambda trial: abs(trial.answers.difference))
    chosen = (enough or [best])[0]
    if untreated is not None and untreated.answers.verdict != "above the base":
        return chosen.coefficient, (
            "so few steps did not raise the trait without prevention either, so this says little: scan with "
            "more steps"
        )
    if enough:
        return chosen.coefficient, "the smallest under which answers are as the base's"
    return chosen.coefficient, "none brings answers to the base's level; this one comes nearest"

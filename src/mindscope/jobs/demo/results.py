"""What a demo found, as a document: the content of its `summary.json`."""

from __future__ import annotations

from mindscope.personas import SteeringScores
from mindscope.store import Document


class SentimentScores(Document):
    """Mean sentiment of the answers of four arms by a lexicon: 0 is gloomy, 50 neutral, 100 glad."""

    unsteered: float
    steered: float
    against: float
    random: float


class DemoScores(SteeringScores):
    """What steering did to one trait, by the judge and by a lexicon that had no part in it."""

    lexicon: SentimentScores | None
    """None where the lexicon is not installed."""


class MonitoredSets(Document):
    """Conversations that raised an alarm, of those with the trait and of ordinary ones."""

    planted: int
    planted_alarms: int
    ordinary: int
    ordinary_alarms: int


class ScreenedSet(Document):
    """How well screening ranks planted rows above the others: 0.5 by chance, 1 at best."""

    auroc: float


class TunedScores(Document):
    """The trait in unsteered answers, 0 to 100: of the base, and of models tuned on the trait's voice."""

    base: float | None
    plain: float | None
    prevented: float | None
    """Tuned while the trait's vector was added."""


class TunedShifts(Document):
    """How far the tuned models' answers moved along the trait's vector, in the activations' units."""

    plain: float
    prevented: float


class DemoReport(Document):
    """What was measured, and where the page is."""

    seconds: float
    report: str
    traits: dict[str, DemoScores]
    refused: dict[str, str]
    """Traits that the model does not play, or by which it cannot be steered, with the reason."""
    monitor: MonitoredSets
    """What follows is of the first trait that was not refused."""
    screen: ScreenedSet
    finetune: TunedScores | None
    """None where the libraries for training are not installed."""
    shift: TunedShifts | None

"""The results of monitoring: thresholds, alarms, conversations and a whole file, as documents."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from mindscope.core import parse_exact_json
from mindscope.monitoring.config import Signal, ThresholdScope
from mindscope.stats import RandomControl
from mindscope.store import BorrowingDocument, Document, InnerPath, SavedDocument, html_table


class AlarmEvent(Document):
    """A reading that crossed a level."""

    kind: Literal["crossed", "recovered"]
    """`crossed`: the signal rose above the threshold. `recovered`: after that, it fell below the
    calibration's recovery level."""
    feature: str
    """Its key, `NAME@ADDRESS`."""
    turn: int
    """Of the conversation's turns, from 0."""
    token: int | None
    """Of the answer, from 0; None for the prompt's last token."""
    value: float
    """The signal there."""
    level: float
    """What it crossed."""

    def __str__(self) -> str:
        place = "before the answer" if self.token is None else f"at token {self.token}"
        side = "above" if self.kind == "crossed" else "below"
        level = f"{self.value:.4g} is {side} {self.level:.4g}"
        return f"{self.feature} {self.kind} in turn {self.turn} {place}: {level}"


class Drift(Document):
    """The least-squares slope over the turns, in the reading's units per turn."""

    slope: float
    low: float
    """Lower end of the 95 % interval of the slope, by Student's t with turns - 2 degrees of freedom."""
    high: float
    turns: int
    """How many turns have a value."""

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


class FeatureSeries(Document):
    """A feature over the turns of a conversation; None where a turn has no answer."""

    last_prompt: tuple[float | None, ...]
    answer: tuple[float | None, ...]
    """The mean over the tokens of each answer."""
    drift: Drift | None


class MonitoredAnswer(Document):
    """An answer that was written under watch."""

    text: str
    finish: str
    steered: int
    """Tokens that went through the model under a push."""


class AlarmTokens(Document):
    """The answer in which a feature's alarm began, token by token."""

    feature: str
    turn: int
    question: str
    tokens: tuple[str, ...]
    values: tuple[float, ...]


class ConversationRecord(Document):
    """A conversation of a file: its series, its events, and the answers where alarms began."""

    number: int
    place: str
    peaks: dict[str, float]
    """The highest signal of each feature; empty without thresholds, or without an answer."""
    turns: int
    features: dict[str, FeatureSeries]
    events: tuple[AlarmEvent, ...]
    alarms: tuple[str, ...]
    """The features that raised an alarm."""
    answer: MonitoredAnswer | None = None
    heat: tuple[AlarmTokens, ...]

    def words_at(self, event: AlarmEvent, before: int = 12) -> str:
        """What was said where an alarm began: the token, and some before it; nothing before an answer."""
        for heat in self.heat:
            if (heat.feature, heat.turn) == (event.feature, event.turn) and event.token is not None:
                words = heat.tokens[max(0, event.token + 1 - before) : event.token + 1]
                return " ".join("".join(words).split())
        return ""


class ThresholdLevels(Document):
    """Where an alarm of a feature begins, and below which level it ends."""

    threshold: float
    recovery: float


class CalibrationSummary(Document):
    """Thresholds and what they rest on; everything but the scores."""

    features: dict[str, ThresholdLevels]
    signal: Signal
    false_alarms: float
    over: ThresholdScope
    rate_a_feature: float
    interval: tuple[float, float]
    """The 95 % interval of a feature's true rate of false alarms."""
    conversations: int
    fingerprint: str
    digest: str


class FeatureAlarms(Document):
    """What a feature did over all conversations."""

    feature: str
    threshold: float | None
    recovery: float | None
    alarms: int
    """Conversations with an alarm."""
    share: float
    low: float
    """Ends of the 95 % interval of the share (Clopper and Pearson)."""
    high: float
    soon: int
    """Conversations whose alarm came within the first two answers."""
    recovered: int
    """Events of recovery."""
    rising: int
    """Conversations of three answers or more whose slope over the turns is surely above 0."""
    falling: int
    """The same with a slope surely below 0."""
    control: RandomControl | None = None
    """Where it stands among random directions; None where thresholds were not calibrated in the same job."""


class MonitoringResult(SavedDocument, BorrowingDocument):
    """A file of conversations under watch. The conversations themselves are in `folder` of the run."""

    SCHEMA: ClassVar[str] = "mindscope.monitoring/2"
    READERS: ClassVar = {"mindscope.monitoring/1": dict}

    data: str
    model: str
    conversations: int
    alarmed: int
    """Conversations with an alarm of any feature."""
    left_out: int
    left_out_first: str | None
    halted: int
    """Answers that the policy ended."""
    steered: int
    """Answers that the policy pushed."""
    features: tuple[FeatureAlarms, ...]
    policy: str
    calibration: CalibrationSummary | None
    folder: InnerPath

    def _repr_html_(self) -> str:
        rows = [list(feature.model_dump(exclude={"control"}).values()) for feature in self.features]
        columns = [name for name in FeatureAlarms.model_fields if name != "control"]
        return html_table(f"{self.data}: {self.conversations} conversations", columns, rows)


def conversations_of(run: Path, result: MonitoringResult) -> Iterator[ConversationRecord]:
    """The conversations of a result, each when it is asked for, out of its run's folder."""
    with (run / result.folder / "conversations.jsonl").open(encoding="utf-8") as lines:
        yield from (ConversationRecord.model_validate(parse_exact_json(line)) for line in lines)

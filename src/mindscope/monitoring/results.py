"""What came of watching a file: counts a feature, and where the conversations themselves are kept."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from mindscope.monitoring.monitor import Monitor
from mindscope.store import Document, SavedDocument, html_table

SOON = 2
"""An alarm within so many answers came soon."""


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


class MonitoringResult(SavedDocument):
    """A file of conversations under watch. The conversations themselves are in `folder` of the run."""

    SCHEMA: ClassVar[str] = "mindscope.monitoring/1"

    data: str
    model: str
    conversations: int
    alarmed: int
    """Conversations with an alarm of any feature."""
    left_out: int
    left_out_first: str | None
    halted: int
    steered: int
    """Answers that were ended, and answers that were pushed, by the policy."""
    features: tuple[FeatureAlarms, ...]
    policy: str
    calibration: dict[str, Any] | None
    folder: str

    def _repr_html_(self) -> str:
        rows = [list(each.model_dump().values()) for each in self.features]
        return html_table(
            f"{self.data}: {self.conversations} conversations", list(FeatureAlarms.model_fields), rows
        )


class AlarmTally:
    """Counts over the documents of all conversations."""

    def __init__(self, monitor: Monitor) -> None:
        self.conversations = 0
        self.counts = Counter[str]()
        self._monitor = monitor
        self._by = {key: Counter[str]() for key in monitor.features.keys}

    def take(self, document: dict[str, Any]) -> None:
        self.conversations += 1
        self.counts["alarmed"] += bool(document["alarms"])
        answer = document.get("answer")
        if answer is not None:
            self.counts["halted"] += answer["finish"] == "halted"
            self.counts["steered"] += answer["steered"] > 0
        for key, counts in self._by.items():
            mine = [event for event in document["events"] if event["feature"] == key]
            raised = [event["turn"] for event in mine if event["kind"] == "crossed"]
            counts["alarms"] += bool(raised)
            counts["soon"] += bool(raised) and raised[0] < SOON
            counts["recovered"] += len(mine) - len(raised)
            slope = document["features"][key]["drift"]
            counts["rising"] += slope is not None and slope["low"] > 0
            counts["falling"] += slope is not None and slope["high"] < 0

    def features(self) -> tuple[FeatureAlarms, ...]:
        from scipy.stats import binomtest

        made = self._monitor.calibration
        found: list[FeatureAlarms] = []
        for column, (key, counts) in enumerate(self._by.items()):
            interval = binomtest(counts["alarms"], self.conversations).proportion_ci()
            found.append(
                FeatureAlarms(
                    feature=key,
                    threshold=None if made is None else made.thresholds[column].item(),
                    recovery=None if made is None else made.recovery[column].item(),
                    share=counts["alarms"] / self.conversations,
                    low=interval.low,
                    high=interval.high,
                    **{name: counts[name] for name in ("alarms", "soon", "recovered", "rising", "falling")},
                )
            )
        return tuple(found)


def conversations_of(run: Path, result: MonitoringResult) -> Iterator[dict[str, Any]]:
    """The conversations of a result, one by one, out of its run's folder."""
    with (run / result.folder / "conversations.jsonl").open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)

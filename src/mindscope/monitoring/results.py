"""The result of monitoring a file: alarms counted by feature, and where the conversations are kept."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from mindscope.store import Document, SavedDocument, html_table


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


def conversations_of(run: Path, result: MonitoringResult) -> Iterator[dict[str, Any]]:
    """The conversations of a result, one by one, out of its run's folder."""
    with (run / result.folder / "conversations.jsonl").open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)

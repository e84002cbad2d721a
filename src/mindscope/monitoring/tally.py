"""Counting alarms over the conversations of a file, one conversation at a time."""

from collections import Counter
from typing import Any

from mindscope.monitoring.monitor import Monitor
from mindscope.monitoring.results import FeatureAlarms

SOON = 2
"""An alarm within this many answers came soon."""


class AlarmTally:
    """Counts over the documents of all conversations."""

    def __init__(self, monitor: Monitor) -> None:
        self.conversations = 0
        self.counts = Counter[str]()
        self._monitor = monitor
        self._by = {key: Counter[str]() for key in monitor.features.keys}

    def take(self, document: dict[str, Any]) -> None:
        """Count one conversation."""
        self.conversations += 1
        self.counts["alarmed"] += bool(document["alarms"])
        answer = document.get("answer")
        if answer is not None:
            self.counts["halted"] += answer["finish"] == "halted"
            self.counts["steered"] += answer["steered"] > 0
        for key, counts in self._by.items():
            events = [event for event in document["events"] if event["feature"] == key]
            raised = [event["turn"] for event in events if event["kind"] == "crossed"]
            counts["alarms"] += bool(raised)
            counts["soon"] += bool(raised) and raised[0] < SOON
            counts["recovered"] += len(events) - len(raised)
            slope = document["features"][key]["drift"]
            counts["rising"] += slope is not None and slope["low"] > 0
            counts["falling"] += slope is not None and slope["high"] < 0

    def features(self) -> tuple[FeatureAlarms, ...]:
        """The counts of every feature, with the interval of its share of alarms."""
        from scipy.stats import binomtest

        calibration = self._monitor.calibration
        features: list[FeatureAlarms] = []
        for column, (key, counts) in enumerate(self._by.items()):
            interval = binomtest(counts["alarms"], self.conversations).proportion_ci()
            features.append(
                FeatureAlarms(
                    feature=key,
                    threshold=None if calibration is None else calibration.thresholds[column].item(),
                    recovery=None if calibration is None else calibration.recovery[column].item(),
                    share=counts["alarms"] / self.conversations,
                    low=interval.low,
                    high=interval.high,
                    **{name: counts[name] for name in ("alarms", "soon", "recovered", "rising", "falling")},
                )
            )
        return tuple(features)

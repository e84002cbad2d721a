"""Counting alarms over the conversations of a file, one conversation at a time."""

from collections import Counter

from mindscope.monitoring.monitor import Monitor
from mindscope.monitoring.results import ConversationRecord, FeatureAlarms

SOON = 2
"""An alarm within this many answers came soon."""


class AlarmTally:
    """Counts over all conversations."""

    def __init__(self, monitor: Monitor) -> None:
        self.conversations = 0
        self.counts = Counter[str]()
        self._monitor = monitor
        self._by = {key: Counter[str]() for key in monitor.features.keys}

    def take(self, record: ConversationRecord) -> None:
        """Count a conversation."""
        self.conversations += 1
        self.counts["alarmed"] += bool(record.alarms)
        if record.answer is not None:
            self.counts["halted"] += record.answer.finish == "halted"
            self.counts["steered"] += record.answer.steered > 0
        for key, counts in self._by.items():
            events = [event for event in record.events if event.feature == key]
            raised = [event.turn for event in events if event.kind == "crossed"]
            counts["alarms"] += bool(raised)
            counts["soon"] += bool(raised) and raised[0] < SOON
            counts["recovered"] += len(events) - len(raised)
            drift = record.features[key].drift
            counts["rising"] += drift is not None and drift.low > 0
            counts["falling"] += drift is not None and drift.high < 0

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
                    alarms=counts["alarms"],
                    soon=counts["soon"],
                    recovered=counts["recovered"],
                    rising=counts["rising"],
                    falling=counts["falling"],
                )
            )
        return tuple(features)

"""What `persona monitor` and `feature alarm` print of a file under watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import print_table, print_text, say

if TYPE_CHECKING:
    from mindscope.jobs.monitor import MonitoringReport


COLUMNS = {
    "feature": "what is watched, and where",
    "threshold": "above it a conversation is in alarm",
    "alarms": "conversations in alarm",
    "share": "their share",
    "low": "",
    "high": "with low, the 95 % interval of the share",
    "soon": "alarms within the first two answers",
    "recovered": "alarms that ended, below a lower level than the threshold",
    "rising": "conversations whose reading surely rises over three turns or more",
    "falling": "the same, falling",
}
"""The columns of the table, and what they mean."""


def print_monitoring(result: MonitoringReport) -> None:
    """The alarms of every feature, where they began, what was left out, and where everything is."""
    rows = [[getattr(feature, name) for name in COLUMNS] for feature in result.features]
    if any(feature.threshold is not None for feature in result.features):
        title = f"{result.conversations} conversations, {result.alarmed} in alarm"
    else:
        title = (
            f"{result.conversations} conversations; without thresholds nothing could alarm: give ordinary "
            "conversations with --calibrate"
        )
    print_table(list(COLUMNS), rows, title)
    say("; ".join(f"{name}: {meaning}" for name, meaning in COLUMNS.items() if meaning))
    for feature in result.features:
        if feature.control is not None:
            print_text(f"{feature.feature}: {feature.control}")
    for alarm in result.places:
        event = alarm.event
        token = "before the answer" if event.token is None else f"token {event.token}"
        words = f": … {alarm.words}" if alarm.words else ""
        print_text(
            f"{alarm.place}, turn {event.turn}, {token}: {event.feature} at {event.value:.4g}, threshold "
            f"{event.level:.4g}{words}"
        )
    if result.n_places > len(result.places):
        print_text(f"and {result.n_places - len(result.places)} more alarms, in the table below")
    if result.left_out:
        say(f"left out {result.left_out} rows; the first: {result.left_out_first}")
    if result.thresholds:
        print_text(f"thresholds: {result.thresholds}")
    print_text(f"conversations: {result.table}\nreport: {result.report}")

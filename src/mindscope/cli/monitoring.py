"""What `persona monitor` and `feature alarm` print of a file under watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.output import print_table, print_text, say

if TYPE_CHECKING:
    from mindscope.jobs.monitor import MonitoringReport


def print_monitoring(result: MonitoringReport) -> None:
    """The alarms of every feature, what was left out, and where everything is."""
    from mindscope.monitoring import FeatureAlarms

    columns = [name.replace("_", " ") for name in FeatureAlarms.model_fields]
    rows = [list(feature.model_dump().values()) for feature in result.features]
    if any(feature.threshold is not None for feature in result.features):
        title = f"{result.conversations} conversations, {result.alarmed} in alarm"
    else:
        title = (
            f"{result.conversations} conversations; without thresholds nothing could alarm: give ordinary "
            "conversations with --calibrate"
        )
    print_table(columns, rows, title)
    if result.left_out:
        say(f"left out {result.left_out} rows; the first: {result.left_out_first}")
    if result.thresholds:
        print_text(f"thresholds: {result.thresholds}")
    print_text(f"conversations: {result.table}\nreport: {result.report}")

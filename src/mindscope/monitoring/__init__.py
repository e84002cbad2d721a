"""Watching features while a model answers: projections by turn, calibrated alarms, drift, files."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.monitoring.calibration import Calibration, calibrate
    from mindscope.monitoring.config import AlarmAction, MonitorConfig, ReadingPosition, Signal
    from mindscope.monitoring.controls import compare_random
    from mindscope.monitoring.files import calibrate_on, monitor_file
    from mindscope.monitoring.live import LiveMonitor, WatchedAnswer
    from mindscope.monitoring.monitor import Monitor, MonitoredConversation, MonitorWarning, Policy
    from mindscope.monitoring.projections import ProjectedTurn, TurnProjections, project_turns
    from mindscope.monitoring.report import monitor_report
    from mindscope.monitoring.results import (
        AlarmEvent,
        CalibrationSummary,
        ConversationRecord,
        Drift,
        FeatureAlarms,
        FeatureSeries,
        MonitoringResult,
        conversations_of,
    )
    from mindscope.monitoring.signal import signal_score, signal_values


__all__ = [
    "Calibration",
    "Drift",
    "AlarmEvent",
    "FeatureAlarms",
    "FeatureSeries",
    "CalibrationSummary",
    "ConversationRecord",
    "signal_score",
    "signal_values",
    "Monitor",
    "MonitorWarning",
    "LiveMonitor",
    "WatchedAnswer",
    "MonitoringResult",
    "Policy",
    "Signal",
    "TurnProjections",
    "ProjectedTurn",
    "MonitorConfig",
    "AlarmAction",
    "ReadingPosition",
    "MonitoredConversation",
    "calibrate",
    "compare_random",
    "calibrate_on",
    "conversations_of",
    "monitor_report",
    "project_turns",
    "monitor_file",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)

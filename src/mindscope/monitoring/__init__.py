"""Watching features while a model answers: projections by turn, calibrated alarms, drift, files."""

from mindscope.monitoring.alarms import Event
from mindscope.monitoring.calibration import Calibration, calibrate
from mindscope.monitoring.drift import Drift
from mindscope.monitoring.files import WatchConfig, calibrate_on, watch
from mindscope.monitoring.monitor import Monitor, MonitorWarning, Policy, Watched
from mindscope.monitoring.projections import Trace, Turn, trace
from mindscope.monitoring.report import monitor_report
from mindscope.monitoring.results import FeatureAlarms, Monitoring, conversations_of
from mindscope.monitoring.signal import Signal

__all__ = [
    "Calibration",
    "Drift",
    "Event",
    "FeatureAlarms",
    "Monitor",
    "MonitorWarning",
    "Monitoring",
    "Policy",
    "Signal",
    "Trace",
    "Turn",
    "WatchConfig",
    "Watched",
    "calibrate",
    "calibrate_on",
    "conversations_of",
    "monitor_report",
    "trace",
    "watch",
]

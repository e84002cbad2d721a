"""What a feature is: read and written at one place, calibrated, and watched while a model answers."""

from mindscope.features.calibration import Calibration, calibrate
from mindscope.features.classify import Classifier, fit_classifier, score_classifier
from mindscope.features.classify_single import Concept, SingleFeature, best_single_features
from mindscope.features.direction import Direction
from mindscope.features.drift import Drift
from mindscope.features.events import Event
from mindscope.features.feature import Feature, FeatureSet
from mindscope.features.monitor import Monitor, MonitorWarning, Policy, Watched
from mindscope.features.signal import Signal
from mindscope.features.trace import Trace, Turn, trace

__all__ = [
    "Direction",
    "Feature",
    "FeatureSet",
    "trace",
    "Trace",
    "Turn",
    "Drift",
    "Signal",
    "calibrate",
    "Calibration",
    "Monitor",
    "Policy",
    "Watched",
    "Event",
    "MonitorWarning",
    "fit_classifier",
    "score_classifier",
    "Classifier",
    "best_single_features",
    "SingleFeature",
    "Concept",
]

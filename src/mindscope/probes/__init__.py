"""Linear probes: classifiers over activations, and the single features that do as well."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.probes.linear_probe import KINDS, Kind, LinearProbe, ProbeScores, fit_probe, score_probe
    from mindscope.probes.results import SingleFeature
    from mindscope.probes.single_feature import Concept, best_single_features, best_thresholds

__all__ = [
    "LinearProbe",
    "Concept",
    "KINDS",
    "Kind",
    "ProbeScores",
    "SingleFeature",
    "best_single_features",
    "best_thresholds",
    "fit_probe",
    "score_probe",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)

"""Linear probes: classifiers over activations, and the single features that do as well."""

from mindscope.probes.linear_probe import KINDS, Classifier, Kind, Scores, fit_classifier, score_classifier
from mindscope.probes.single_feature import Concept, SingleFeature, best_single_features

__all__ = [
    "Classifier",
    "Concept",
    "KINDS",
    "Kind",
    "Scores",
    "SingleFeature",
    "best_single_features",
    "fit_classifier",
    "score_classifier",
]

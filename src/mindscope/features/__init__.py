"""What a feature is: read and written at one place, calibrated, and watched while a model answers."""

from mindscope.features.direction import Direction
from mindscope.features.feature import Feature, FeatureSet

__all__ = [
    "Direction",
    "Feature",
    "FeatureSet",
]

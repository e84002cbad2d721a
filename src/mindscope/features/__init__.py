"""What a feature is: read and written at one place, calibrated, and watched while a model answers."""

from typing import TYPE_CHECKING

from mindscope.core.faces import lazy_face

if TYPE_CHECKING:
    from mindscope.features.direction import Direction
    from mindscope.features.feature import Feature, FeatureSet


__all__ = [
    "Direction",
    "Feature",
    "FeatureSet",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)

"""Superposition, memorisation and double descent (Henighan et al. 2023): toy models on a fixed set of
samples.

With few samples a model stores them, as a polygon of hidden vectors; with many it stores features, as it does
without a limit; in between it does neither well, and the test loss peaks (`descent.py`). Where some samples
stand several times they are stored among features and can be found by their dimensionality; `planted.py`
looks for duplicates in a small language model in the same way.

`quick` has 256 features and three of a hundred active, `paper` the published 10,000 and one of a thousand,
which moves the peak from a hundred samples to thousands.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.double_descent.config import DescentConfig, DoubleDescentConfig, PlantedConfig
    from mindscope.studies.double_descent.job import DoubleDescentSpec, study_double_descent
    from mindscope.studies.double_descent.results import DoubleDescentStudy

__all__ = [
    "study_double_descent",
    "DoubleDescentSpec",
    "DoubleDescentConfig",
    "DescentConfig",
    "PlantedConfig",
    "DoubleDescentStudy",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)

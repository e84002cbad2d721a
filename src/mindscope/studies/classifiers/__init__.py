"""Features as classifiers of harmful requests, beside raw activations (Bricken et al. 2024).

Classifiers are fitted on the organism's harmful requests, which are cartoons, and its harmless questions
(`texts.py`). They are read on what they were not fitted on: other schemes, look-alikes, another style, long
conversations, stories (`shifts.py`). A cue that stands in every harmful request is planted, found in the
weights and taken out (`planted.py`). A probe of single tokens is read over short and long conversations by
mean, maximum and the highest of rolling means (`lengths.py`).

The organism speaks French and Chinese about opposites alone, so that no request comes in another language.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.classifiers.config import ClassifiersConfig
    from mindscope.studies.classifiers.job import ClassifiersSpec, study_classifiers
    from mindscope.studies.classifiers.results import ClassifiersStudy

__all__ = ["study_classifiers", "ClassifiersSpec", "ClassifiersConfig", "ClassifiersStudy"]

__getattr__, __dir__ = lazy_face(__name__, __file__)

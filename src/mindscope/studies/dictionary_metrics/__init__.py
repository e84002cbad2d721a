"""Which metrics of dictionaries to believe: each against concept recovery where the truth is known.

Activations are sums of atoms that a program draws (`atoms.py`): some exclude one another, some come only with
a parent, some are rare, and there are more of them than dimensions. Dictionaries of every method and several
sizes are trained on them twice each, and measured by every metric that needs no language model
(`measure.py`).
What a metric is worth is how its ranking agrees with that by recovered atoms, and how small a difference it
can tell from its own noise (`agreement.py`). After Chanin 2026, "Are Sparse Autoencoder Benchmarks Reliable?"
(arXiv 2605.18229).

Loss recovered, detection and fuzzing need a model and texts, and are not measured here.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.dictionary_metrics.config import AtomConfig, DictionaryMetricsConfig
    from mindscope.studies.dictionary_metrics.job import DictionaryMetricsSpec, study_dictionaries
    from mindscope.studies.dictionary_metrics.results import DictionaryMetricsStudy

__all__ = [
    "study_dictionaries",
    "DictionaryMetricsSpec",
    "DictionaryMetricsConfig",
    "AtomConfig",
    "DictionaryMetricsStudy",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)

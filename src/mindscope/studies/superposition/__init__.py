"""Toy models of superposition (Elhage et al. 2022): n sparse features in m dimensions, and what comes of it.

Models x' = ReLU(W^T W x + b) are trained on features that are zero with probability S. The study asks when
more features are kept than there are dimensions (`measure.py`, `phase.py`), which polytopes they form
(`measure.py`, `geometry.py`), how features lie that go together (`measure.py`), what an attacker gains
(`geometry.py`), and whether neurons can compute so (`computing.py`). Hundreds of models are trained at once:
`common/small_models/toy_models.py`.

`quick` has ten times the paper's learning rate, falling to zero, and a tenth of its samples; `paper` has the
published constants. The paper's bars and ours stand in `claims.py`.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.superposition.config import SuperpositionConfig
    from mindscope.studies.superposition.job import SuperpositionSpec, study_superposition
    from mindscope.studies.superposition.results import SuperpositionStudy

__all__ = [
    "study_superposition",
    "SuperpositionSpec",
    "SuperpositionConfig",
    "SuperpositionStudy",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)

"""A microscope for language models: read, change, predict and audit what a model uses.

    import mindscope as ms

    model = ms.load("organism")

The names below are imported when they are first used, so that `import mindscope` is instant; everything else
is one folder down.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING

from mindscope.core import lazy_face
from mindscope.errors import MindscopeError

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph, trace
    from mindscope.dictionaries import Dictionary
    from mindscope.features import Direction
    from mindscope.models import Edit, Last, Mean, Model, Project, Raw, Read, Row, Sampling, load
    from mindscope.personas import PersonaVectors, Trait
    from mindscope.store import Run

__version__ = version("mindscope")

__all__ = [
    "load",
    "Model",
    "Row",
    "Read",
    "Mean",
    "Last",
    "Raw",
    "Project",
    "Edit",
    "Sampling",
    "Direction",
    "Trait",
    "PersonaVectors",
    "Dictionary",
    "AttributionGraph",
    "trace",
    "Run",
    "MindscopeError",
]


__getattr__, __dir__ = lazy_face(__name__, __file__)

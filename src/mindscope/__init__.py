"""A microscope for language models: read, change, predict and audit what a model uses.

    import mindscope as ms

    model = ms.load("organism")

The names below are imported when they are first used, so that `import mindscope` is instant; everything else
is one folder down.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mindscope.errors import MindscopeError

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph, trace
    from mindscope.dictionaries import Dictionary
    from mindscope.features import Direction
    from mindscope.models import Edit, Last, Mean, Model, Project, Raw, Read, Row, Sampling, load
    from mindscope.personas import PersonaVectors, Trait
    from mindscope.store import Run

__version__ = version("mindscope")

_HOMES = {
    "models": ("load", "Model", "Row", "Read", "Mean", "Last", "Raw", "Project", "Edit", "Sampling"),
    "features": ("Direction",),
    "personas": ("Trait", "PersonaVectors"),
    "dictionaries": ("Dictionary",),
    "circuits": ("AttributionGraph", "trace"),
    "store": ("Run",),
}

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


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"mindscope.{home}"), name)
    raise AttributeError(f"module 'mindscope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

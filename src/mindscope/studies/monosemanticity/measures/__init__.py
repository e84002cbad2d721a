"""What is asked of features: each file a measure of one transformer, on the views of `views.py`."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.monosemanticity.measures.automata import measure_automata
    from mindscope.studies.monosemanticity.measures.effects import measure_effects
    from mindscope.studies.monosemanticity.measures.reading import measure_reading
    from mindscope.studies.monosemanticity.measures.splitting import measure_splits
    from mindscope.studies.monosemanticity.measures.universality import DECILES, measure_universality
    from mindscope.studies.monosemanticity.measures.views import (
        ReadingView,
        SeedViews,
        find_often,
        say_random,
    )

__all__ = [
    "ReadingView",
    "SeedViews",
    "find_often",
    "say_random",
    "measure_reading",
    "measure_effects",
    "measure_splits",
    "measure_universality",
    "DECILES",
    "measure_automata",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)

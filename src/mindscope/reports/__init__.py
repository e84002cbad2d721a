"""Results as one self-contained HTML page: figures, tables and answers side by side, out of plain values.

A page asks for nothing from the network, runs no script, and follows the reader's light or dark theme.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.reports.figures import (
        CurveLine,
        ScatterPoints,
        bars_by_layer,
        heatmap,
        histogram,
        lines_with_bands,
        scatter,
    )
    from mindscope.reports.groups import bars_by_group, dots_by_group
    from mindscope.reports.report import AnswerCard, AnswerSample, Report, TokenHeat
    from mindscope.reports.style import GRID, INK, MUTED, RC, SERIES, sheet


__all__ = [
    "AnswerCard",
    "TokenHeat",
    "CurveLine",
    "ScatterPoints",
    "Report",
    "AnswerSample",
    "bars_by_group",
    "bars_by_layer",
    "dots_by_group",
    "heatmap",
    "histogram",
    "lines_with_bands",
    "scatter",
    "GRID",
    "INK",
    "MUTED",
    "RC",
    "SERIES",
    "sheet",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)

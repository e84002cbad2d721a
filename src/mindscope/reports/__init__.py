"""Results as one self-contained HTML page: figures, tables and answers side by side, out of plain values.

A page asks for nothing from the network, runs no script, and follows the reader's light or dark theme.
"""

from mindscope.reports.figures import CurveLine, bars_by_layer, heatmap, lines_with_bands
from mindscope.reports.histogram import histogram
from mindscope.reports.report import AnswerCard, AnswerSample, Report, TokenHeat
from mindscope.reports.scatter import ScatterPoints, scatter
from mindscope.reports.style import GRID, INK, MUTED, RC, SERIES, sheet

__all__ = [
    "AnswerCard",
    "TokenHeat",
    "CurveLine",
    "ScatterPoints",
    "Report",
    "AnswerSample",
    "bars_by_layer",
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

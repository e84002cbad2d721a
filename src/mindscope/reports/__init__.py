"""Results as one self-contained HTML page: figures, tables and answers side by side, out of plain values.

A page asks for nothing from the network, runs no script, and follows the reader's light or dark theme.
"""

from mindscope.reports.figures import Line, bars_by_layer, heatmap, lines_with_bands
from mindscope.reports.histogram import histogram
from mindscope.reports.report import Answer, Heat, Report, Sample
from mindscope.reports.scatter import Points, scatter
from mindscope.reports.style import GRID, INK, MUTED, RC, SERIES, sheet

__all__ = [
    "Answer",
    "Heat",
    "Line",
    "Points",
    "Report",
    "Sample",
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

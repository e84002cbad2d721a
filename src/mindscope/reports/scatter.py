"""Points of several series, with the straight line through all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mindscope.reports.figures import Numbers, canvas, floats, legend
from mindscope.reports.style import INK, MUTED, RC, SERIES


@dataclass(frozen=True)
class ScatterPoints:
    """A named series; `labels`, where given, name single points that are written beside them."""

    name: str
    x: Numbers
    y: Numbers
    labels: Sequence[str] = ()


def scatter(
    series: Sequence[ScatterPoints],
    xlabel: str,
    ylabel: str,
    *,
    title: str = "",
    fit: bool = True,
    joined: bool = False,
) -> Figure:
    """Draw points, one colour a series; `fit` adds the straight line through all, `joined` joins them."""
    with mpl.rc_context(RC):
        figure, axes = canvas(6.4, 3.9, title, xlabel, ylabel)
        for index, points in enumerate(series):
            x, y = floats(points.x), floats(points.y)
            colour = SERIES[index % len(SERIES)]
            axes.plot(
                x,
                y,
                ls="-" if joined else "",
                lw=1,
                marker="o",
                ms=4.5,
                color=colour,
                alpha=0.8,
                label=points.name,
            )
            for label, at_x, at_y in zip(points.labels, x, y, strict=False):
                axes.annotate(
                    label, (at_x, at_y), xytext=(4, 3), textcoords="offset points", fontsize=8, color=MUTED
                )
        if fit:
            x = np.concatenate([floats(points.x) for points in series])
            y = np.concatenate([floats(points.y) for points in series])
            known = np.isfinite(x) & np.isfinite(y)
            if known.sum() > 1 and np.ptp(x[known]) > 0:
                slope, start = np.polyfit(x[known], y[known], 1)
                ends = np.array([x[known].min(), x[known].max()])
                axes.plot(ends, start + slope * ends, color=INK, lw=1, ls="--")
        if len(series) > 1:
            legend(axes, len(series))
    return figure

"""How often which values came up."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from mindscope.reports.figures import canvas
from mindscope.reports.style import RC, SERIES


def histogram(
    edges: Sequence[float],
    counts: Sequence[int],
    xlabel: str,
    ylabel: str = "how often",
    *,
    title: str = "",
    log: bool = False,
) -> Figure:
    """Draw counts between edges, one more of these; empty bins at both ends are left out.

    Negative values stand in another colour. `log` draws the counts on a logarithmic axis.
    """
    used = [i for i, count in enumerate(counts) if count] or [0]
    first, last = used[0], used[-1] + 1
    lefts, rights = edges[first:last], edges[first + 1 : last + 1]
    with mpl.rc_context(RC):
        figure, axes = canvas(6.4, 2.6, title, xlabel, ylabel)
        axes.bar(
            lefts,
            counts[first:last],
            [(right - left) * 0.92 for left, right in zip(lefts, rights, strict=True)],
            align="edge",
            color=[SERIES[1] if left >= 0 else SERIES[0] for left in lefts],
        )
        if log and any(counts):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
    return figure

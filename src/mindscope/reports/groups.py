"""Figures that compare groups: bars side by side with their intervals, and every value of each as a dot."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mindscope.reports.figures import Numbers, canvas, floats, legend
from mindscope.reports.style import INK, MUTED, RC, SERIES


def bars_by_group(
    groups: Sequence[str],
    values: Mapping[str, Numbers],
    ylabel: str,
    *,
    errors: Mapping[str, tuple[Numbers, Numbers]] | None = None,
    ylim: tuple[float, float] | None = None,
) -> Figure:
    """Draw a bar for each series in every group. `errors` gives the low and high end of its interval.

    A missing value leaves a gap.
    """
    with mpl.rc_context(RC):
        figure, axes = canvas(6.4, 3.3, "", "", ylabel)
        axes.grid(visible=False, axis="x")
        width = 0.8 / max(len(values), 1)
        for index, (name, numbers) in enumerate(values.items()):
            places = np.arange(len(groups)) + (index - (len(values) - 1) / 2) * width
            heights = floats(numbers)
            axes.bar(places, heights, width * 0.92, color=SERIES[index % len(SERIES)], label=name)
            tops = heights
            if errors is not None and name in errors:
                low, high = map(floats, errors[name])
                axes.vlines(places, low, high, color=INK, linewidth=1)
                tops = np.fmax(heights, high)
            for place, height, top in zip(places, heights, tops, strict=True):
                if np.isfinite(height):  # the number stands above the bar and its interval
                    axes.text(place, top, f"{height:.0f}", ha="center", va="bottom", fontsize=8.5, color=INK)
        axes.set_xticks(np.arange(len(groups)), list(groups))
        if ylim is not None:
            axes.set_ylim(*ylim)
        legend(axes, len(values))
    return figure


def dots_by_group(
    values: Mapping[str, Numbers], xlabel: str, *, mark: float | None = None, seed: int = 0
) -> Figure:
    """Draw every value of each group as a dot on the group's line; `mark` is a threshold on the x axis."""
    draw = np.random.default_rng(seed)  # dots that lie upon one another are parted up and down
    with mpl.rc_context(RC):
        figure, axes = canvas(6.4, 0.9 + 0.62 * len(values), "", xlabel, "")
        axes.grid(visible=False, axis="y")
        for index, numbers in enumerate(values.values()):
            x = floats(numbers)
            y = index + draw.uniform(-0.22, 0.22, len(x))
            axes.plot(x, y, ls="", marker="o", ms=4.5, alpha=0.75, color=SERIES[index % len(SERIES)])
        if mark is not None:
            axes.axvline(mark, color=MUTED, linewidth=1.2, linestyle=":")
        axes.set_yticks(range(len(values)), list(values))
        axes.set_ylim(len(values) - 0.5, -0.5)
    return figure

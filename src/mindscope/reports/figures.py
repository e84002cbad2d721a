"""The figures that come back in every report, each a function of plain numbers. NaN and None leave a gap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullFormatter

from mindscope.reports.style import INK, MUTED, RC, SERIES

Numbers = Sequence[float | None] | Sequence[float] | np.ndarray


@dataclass(frozen=True)
class CurveLine:
    """A named curve, with the band of its confidence interval if there is one."""

    name: str
    y: Numbers
    low: Numbers | None = None
    high: Numbers | None = None
    baseline: bool = False
    """Drawn dashed in a neutral colour: something to compare with."""


def lines_with_bands(
    series: Sequence[CurveLine],
    x: Sequence[float],
    xlabel: str,
    ylabel: str,
    *,
    title: str = "",
    ylim: tuple[float, float] | None = None,
    mark: float | None = None,
) -> Figure:
    """Draw curves over `x` with their confidence bands; `mark` is a place on the x axis that was chosen."""
    with mpl.rc_context(RC):
        figure, axes = canvas(6.4, 3.5, title, xlabel, ylabel)
        colours = iter(_repeat(SERIES[:-1], len(series)))
        for line in series:
            colour = SERIES[-1] if line.baseline else next(colours)
            y = floats(line.y)
            axes.plot(
                x,
                y,
                color=colour,
                label=line.name,
                marker="o",
                markersize=3.5,
                ls="--" if line.baseline else "-",
            )
            if line.low is not None and line.high is not None:
                axes.fill_between(
                    x, floats(line.low), floats(line.high), color=colour, alpha=0.16, linewidth=0
                )
        if mark is not None:
            axes.axvline(mark, color=MUTED, linewidth=1, linestyle=":")
        if ylim is not None:
            axes.set_ylim(*ylim)
        if all(float(value).is_integer() for value in x):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend(axes, len(series))
    return figure


def bars_by_layer(
    values: Mapping[str, Numbers],
    ylabel: str,
    *,
    title: str = "",
    errors: Mapping[str, tuple[Numbers, Numbers]] | None = None,
    highlight: int | None = None,
) -> Figure:
    """Draw one bar a layer and series. `errors` gives the low and high end of an interval a layer.

    The layer in `highlight` is drawn full, the others paler.
    """
    with mpl.rc_context(RC):
        figure, axes = canvas(6.4, 3.0, title, "layer", ylabel)
        axes.grid(visible=False, axis="x")
        width = 0.8 / max(len(values), 1)
        for index, (name, numbers) in enumerate(values.items()):
            heights = floats(numbers)
            places = np.arange(len(heights)) + (index - (len(values) - 1) / 2) * width
            colour = SERIES[index % len(SERIES)]
            bars = axes.bar(places, heights, width * 0.92, color=colour, label=name)
            for layer, bar in enumerate(bars):
                bar.set_alpha(1.0 if highlight in (None, layer) else 0.45)
            if errors is not None and name in errors:
                low, high = map(floats, errors[name])
                axes.vlines(places, low, high, color=INK, linewidth=1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(values) > 1:
            legend(axes, len(values))
    return figure


def heatmap(
    values: Sequence[Numbers] | np.ndarray,
    rows: Sequence[object],
    columns: Sequence[object],
    *,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    limit: float | None = None,
    mark: tuple[int, int] | None = None,
) -> Figure:
    """Draw a table of numbers as shades, with the numbers in the cells.

    Positive values are shaded in one colour and negative values in another, fully at `limit` (by default the
    largest absolute value). `mark` frames one cell (row, column).
    """
    table = np.array([floats(row) for row in values])
    limit = limit or float(np.nanmax(np.abs(table), initial=0.0, where=np.isfinite(table))) or 1.0
    with mpl.rc_context(RC):
        height = 0.9 + 0.36 * len(rows)
        figure, axes = canvas(min(max(6.4, 1.6 + 0.62 * len(columns)), 9.6), height, title, xlabel, ylabel)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set_xlim(0, len(columns))
        axes.set_ylim(len(rows), 0)
        for (row, column), value in np.ndenumerate(table):
            cell = (column + 0.03, row + 0.04)
            if np.isnan(value):
                axes.add_patch(Rectangle(cell, 0.94, 0.92, fill=False, edgecolor=MUTED, linestyle=":"))
                continue
            colour = SERIES[0] if value >= 0 else SERIES[1]
            strength = 0.04 + 0.58 * min(abs(value) / limit, 1.0)
            axes.add_patch(Rectangle(cell, 0.94, 0.92, facecolor=colour, alpha=strength, linewidth=0))
            text = f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"
            axes.text(column + 0.5, row + 0.52, _minus(text), ha="center", va="center", fontsize=9.5)
        if mark is not None:
            row, column = mark
            axes.add_patch(
                Rectangle((column + 0.03, row + 0.04), 0.94, 0.92, fill=False, edgecolor=INK, lw=1.6)
            )
        axes.set_xticks(np.arange(len(columns)) + 0.5, [_minus(str(name)) for name in columns])
        axes.set_yticks(np.arange(len(rows)) + 0.5, [_minus(str(name)) for name in rows])
    return figure


def canvas(width: float, height: float, title: str, xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    """An empty figure in inches with its labels."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.set_title(title, pad=26 if title else 6)
    return figure, axes


def legend(axes: Axes, count: int) -> None:
    """The names of `count` series, above the axes."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=min(count, 4),
        borderaxespad=0.2,
        handlelength=1.4,
    )


def floats(values: Numbers) -> np.ndarray:
    """Numbers with NaN for the gaps."""
    return np.array([np.nan if value is None else float(value) for value in values])


def _minus(text: str) -> str:
    """A number's hyphen becomes a minus sign, as matplotlib writes it on its axes."""
    return "\N{MINUS SIGN}" + text[1:] if text[:1] == "-" and text[1:2].isdigit() else text


def _repeat(colours: Sequence[str], count: int) -> list[str]:
    return [colours[index % len(colours)] for index in range(count)]


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

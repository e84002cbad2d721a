"""The study's own figures; lines and scatters are those of the reports."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullFormatter

from mindscope.reports import INK, MUTED, RC, SERIES
from mindscope.studies.superposition.claims import PLATEAUS
from mindscope.studies.superposition.results import (
    ComputedFeatures,
    CorrelatedFeatures,
    PhasePanel,
    PolytopeSavings,
    SuperpositionPanels,
    UniformGeometry,
)

DIVERGING = LinearSegmentedColormap.from_list("diverging", [SERIES[1], "#f4f2ec", SERIES[0]])
SHOWN = 12
"""Features of a computing neuron that are drawn, the strongest first."""


def draw_panels(panels: SuperpositionPanels) -> Figure:
    """W^T W of every density, side by side."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(9.2, 2.0))
        axes = figure.subplots(1, len(panels.gram))
        for place, density, gram in zip(axes, panels.densities, panels.gram, strict=True):
            _matrix(place, gram)
            place.set_title(f"1 \N{MINUS SIGN} S = {density:g}", fontsize=8.5, pad=4)
    return figure


def draw_phase(panel: PhasePanel) -> Figure:
    """What becomes of the last feature: measured, and predicted."""
    norm, shared = np.array(panel.norm), np.array(panel.shared)
    measured = np.where(norm < 0.5, np.nan, np.clip(shared, 0, 1))
    codes = {"absent": np.nan, "own": 0.0, "shared": 1.0}
    predicted = np.array([[codes[name] for name in row] for row in panel.predicted])
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.6, 3.3))
        for place, values, title in zip(
            figure.subplots(1, 2, sharey=True),
            (measured, predicted),
            ("trained", "predicted by closed forms"),
            strict=True,
        ):
            _plane(place, panel, values)
            place.set_title(title, pad=6)
            place.set_xlabel("1 \N{MINUS SIGN} S, from dense to sparse")
        figure.axes[0].set_ylabel("importance of the feature")
        handles = [
            Rectangle((0, 0), 1, 1, facecolor=colour, edgecolor=MUTED, linewidth=0.5)
            for colour in (MUTED, SERIES[0], SERIES[1])
        ]
        figure.legend(
            handles,
            ["not represented", "a dimension of its own", "in superposition"],
            loc="lower center",
            bbox_to_anchor=(0.5, -0.14),
            ncols=3,
        )
    return figure


def draw_geometry(geometry: UniformGeometry) -> Figure:
    """Every feature's share of a dimension, by sparsity, with the plateaus of polytopes."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.6, 4.2))
        axes = figure.add_subplot()
        for band in geometry.bands:
            shares = np.array(band.dimensionalities)
            for seed, row in enumerate(shares):
                x = np.full(len(row), 1 / band.density) * (1 + 0.02 * (seed - len(shares) / 2))
                axes.plot(x, row, ls="", marker="o", ms=2.2, alpha=0.35, color=SERIES[0])
        x = [1 / band.density for band in geometry.bands]
        axes.plot(
            x,
            [np.mean(band.per_feature) for band in geometry.bands],
            color=SERIES[1],
            marker="o",
            ms=3.5,
            label="dimensions per feature, m / |W|\N{SUPERSCRIPT TWO}",
        )
        lines = PLATEAUS | {"pentagon": 2 / 5, "square antiprism": 3 / 8}
        for name, value in lines.items():
            axes.axhline(value, color=MUTED, lw=0.8, ls=":")
            side = {"pentagon": "bottom", "square antiprism": "top"}.get(name, "center")
            axes.text(1.005, value, name, transform=axes.get_yaxis_transform(), fontsize=8, va=side)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(-0.02, 1.05)
        axes.set_xlabel("1 / (1 \N{MINUS SIGN} S): one of so many samples has the feature")
        axes.set_ylabel("dimensionality")
        axes.legend(loc="upper right")
    return figure


def draw_savings(savings: PolytopeSavings) -> Figure:
    """What a polytope saves beyond a dimension of its own, by sparsity."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.6, 3.2))
        axes = figure.add_subplot()
        x = [1 / density for density in savings.densities]
        beyond = np.array(savings.saved) - 1
        for place, name in enumerate(savings.names):
            axes.plot(x, beyond[:, place], color=SERIES[place], marker="o", ms=3.5, label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}")
        axes.set_xlabel("1 / (1 \N{MINUS SIGN} S): one of so many samples has the feature")
        axes.set_ylabel("saved beyond 1, a dimension")
        axes.legend(loc="lower right")
    return figure


def draw_sets(features: CorrelatedFeatures) -> Figure:
    """Weights of sets of two in the plane, the features of a set in one colour."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(9.2, 2.2))
        for place, part in zip(figure.subplots(1, len(features.sets)), features.sets, strict=True):
            for index, (x, y) in enumerate(zip(*part.W, strict=True)):
                place.plot([0, x], [0, y], color=SERIES[index // 2], marker="o", ms=4, markevery=[1])
            place.set_title(f"{part.kind}, n {part.features}", fontsize=8.5, pad=4)
            place.set_xlim(-1.5, 1.5)
            place.set_ylim(-1.5, 1.5)
            place.set_aspect("equal")
            place.set_xticks([])
            place.set_yticks([])
    return figure


def draw_neurons(computing: ComputedFeatures, shown: Sequence[int] = (0, 1, 3)) -> Figure:
    """What every neuron carries, a rectangle a feature; neurons in the order of their strongest feature."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.6, 4.4))
        places = [place for place in shown if place < len(computing.densities)]
        for axes, place in zip(figure.subplots(len(places), 1, sharex=True), places, strict=True):
            carried = np.array(computing.neurons[place])
            carried = carried[np.argsort(carried.argmax(1), kind="stable")]
            patches = [patch for neuron, row in enumerate(carried) for patch in _stack(neuron, row)]
            axes.add_collection(PatchCollection(patches, match_original=True))
            axes.set_xlim(0, len(carried))
            axes.set_ylim(0, max(1.0, carried.sum(1).max() * 1.05))
            axes.set_ylabel(f"1 \N{MINUS SIGN} S = {computing.densities[place]:g}", fontsize=9)
        figure.axes[-1].set_xlabel("neuron; red ones carry several features")
    return figure


def _stack(neuron: int, row: np.ndarray) -> list[Rectangle]:
    """The rectangles of a neuron, its strongest feature at the bottom."""
    colour = SERIES[1] if (row > 0.2 * row.max()).sum() > 1 else SERIES[0]
    patches, height = [], 0.0
    for part in sorted(row.tolist(), reverse=True)[:SHOWN]:
        place = (neuron + 0.1, height)
        patches.append(Rectangle(place, 0.8, part, facecolor=colour, edgecolor=INK, linewidth=0.3))
        height += part
    return patches


def _matrix(axes: Axes, values: Sequence[Sequence[float]]) -> None:
    axes.pcolormesh(np.array(values), cmap=DIVERGING, vmin=-1, vmax=1)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)


def _plane(axes: Axes, panel: PhasePanel, values: np.ndarray) -> None:
    """Densities along x, importances along y; what is not represented stays grey."""
    edges = [_edges(panel.densities), _edges(panel.importances)]
    axes.set_facecolor(MUTED)
    axes.pcolormesh(
        *edges,
        values.T,
        cmap=LinearSegmentedColormap.from_list("shared", [SERIES[0], SERIES[1]]),
        vmin=0,
        vmax=1,
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):  # plain numbers: pages do not set mathematics
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    axes.invert_xaxis()
    axes.grid(visible=False)


def _edges(values: Sequence[float]) -> np.ndarray:
    logs = np.log(values)
    half = (logs[1] - logs[0]) / 2
    return np.exp(np.append(logs - half, logs[-1] + half))

"""Figures of features in words: automata, and families of features that split."""

import math
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

from mindscope.reports import INK, MUTED, RC, SERIES
from mindscope.studies.monosemanticity.results import Automaton, SplitFamily

NODE = 0.16
"""The radius of a node, where the circle of nodes has a radius of 1."""


def draw_automaton(automaton: Automaton) -> Figure:
    """Features on a circle, arrows for who calls up whom."""
    count = len(automaton.features)
    angles = [math.pi / 2 - 2 * math.pi * place / count for place in range(count)]
    spots = {
        feature: (1.15 * math.cos(angle), math.sin(angle))
        for feature, angle in zip(automaton.features, angles, strict=True)
    }
    with mpl.rc_context(RC):
        figure, axes = _open_sheet(6.8, 3.7)
        axes.set_aspect("equal")
        for edge in automaton.edges:
            _draw_edge(axes, spots[edge.caller], spots[edge.called], edge.follows)
        for place, feature in enumerate(automaton.features):
            x, y = spots[feature]
            axes.add_patch(Circle((x, y), NODE, facecolor=SERIES[0], edgecolor="none", zorder=3))
            axes.text(x, y, str(feature), ha="center", va="center", color="#ffffff", fontsize=8.5, zorder=4)
            right = x >= -1e-9
            side = 1 if right else -1
            axes.text(
                x + side * (NODE + 0.06), y + 0.07, f"fires {automaton.rules[place]}",
                ha="left" if right else "right", va="center", color=INK, fontsize=9,
            )  # fmt: skip
            axes.text(
                x + side * (NODE + 0.06), y - 0.09, f"favours {' '.join(automaton.favoured[place][:3])}",
                ha="left" if right else "right", va="center", color=MUTED, fontsize=8.5,
            )  # fmt: skip
        axes.set_xlim(-3.1, 3.1)
        axes.set_ylim(-1.7, 1.7)
    return figure


def draw_families(families: Sequence[SplitFamily]) -> Figure:
    """Small features on the left, what they split into on the right."""
    rows = sum(len(family.children) for family in families) + len(families)
    with mpl.rc_context(RC):
        figure, axes = _open_sheet(6.8, 0.34 * rows + 0.3)
        row = 0.0
        for number, family in enumerate(families):
            colour = SERIES[number % (len(SERIES) - 1)]
            middle = row + (len(family.children) - 1) / 2
            axes.text(0.0, -middle, f"fires {family.rule}", ha="right", va="center", color=INK, fontsize=9.5)
            for _, rule, cosine, favoured in family.children:
                axes.plot([0.06, 0.94], [-middle, -row], color=colour, lw=4 * cosine, alpha=0.75)
                axes.text(1.0, -row, f"fires {rule}", ha="left", va="center", color=INK, fontsize=9.5)
                axes.text(
                    2.0, -row, f"favours {' '.join(favoured[:3])}", ha="left", va="center", color=MUTED,
                    fontsize=8.5,
                )  # fmt: skip
                row += 1
            row += 1
        axes.set_xlim(-1.0, 3.6)
        axes.set_ylim(-(row - 1) + 0.3, 0.7)
    return figure


def _open_sheet(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    return figure, axes


def _draw_edge(axes: Axes, start: tuple[float, float], end: tuple[float, float], odds: float) -> None:
    """An arrow between the rims of two nodes, bent to the side; a loop where they are one."""
    (x, y), (to_x, to_y) = start, end
    if start == end:
        up = -1 if y < -0.5 else 1  # away from the circle; beside it stand the words
        axes.add_patch(Circle((x, y + 0.22 * up), 0.14, fill=False, edgecolor=SERIES[1], lw=1.4, zorder=2))
        axes.text(x, y + 0.47 * up, f"{odds:.0%}", ha="center", va="center", color=SERIES[1], fontsize=8.5)
        return
    length = math.hypot(to_x - x, to_y - y)
    along = ((to_x - x) / length, (to_y - y) / length)
    a = (x + (NODE + 0.02) * along[0], y + (NODE + 0.02) * along[1])
    b = (to_x - (NODE + 0.02) * along[0], to_y - (NODE + 0.02) * along[1])
    axes.add_patch(
        FancyArrowPatch(
            a, b, connectionstyle="arc3,rad=0.18", arrowstyle="-|>", mutation_scale=12, color=SERIES[1],
            lw=1.4, zorder=2,
        )
    )  # fmt: skip
    # beside the middle, on the side to which the arrow is bent
    spot = (
        (x + to_x) / 2 + (0.09 * length + 0.18) * along[1],
        (y + to_y) / 2 - (0.09 * length + 0.18) * along[0],
    )
    axes.text(*spot, f"{odds:.0%}", ha="center", va="center", color=SERIES[1], fontsize=8.5)

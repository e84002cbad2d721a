"""The study's own figure: all that changes, in one."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mindscope.reports import RC, SERIES
from mindscope.studies.induction.results import HeadScan, InductionStudy

ROWS = (
    ("loss", "loss"),
    ("context_score", "in-context score"),
    ("prefix", "prefix matching"),
    ("copying", "copying"),
    ("previous", "previous token"),
)


def draw_training(study: InductionStudy) -> Figure:
    """A row a score, a column a kind of model, a line a seed."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(9.2, 8.4))
        grid = figure.subplots(len(ROWS), len(study.kinds), sharex=True, sharey="row", squeeze=False)
        for column, kind in enumerate(study.kinds):
            for row, (field, label) in enumerate(ROWS):
                axes = grid[row][column]
                for curve in getattr(kind, field):
                    axes.plot(kind.steps, curve, color=SERIES[column % len(SERIES)], lw=1.3, alpha=0.8)
                if column == 0:
                    axes.set_ylabel(label, fontsize=9)
            grid[0][column].set_title(kind.name, fontsize=9.5)
            grid[-1][column].set_xlabel("step", fontsize=9)
        figure.tight_layout()
    return figure


def draw_heads(scan: HeadScan) -> Figure:
    """Every head by prefix matching and copying, the strongest with their names."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(6.4, 3.9))
        axes = figure.add_subplot()
        prefix, copying = (
            np.array([getattr(head, name) for head in scan.heads]) for name in ("prefix", "copying")
        )
        axes.plot(prefix, copying, ls="", marker="o", ms=4, alpha=0.6, color=SERIES[0])
        for head in scan.heads:
            if (name := f"{head.layer}.{head.head}") in scan.groups.heads:
                axes.plot(head.prefix, head.copying, ls="", marker="o", ms=5, color=SERIES[1])
                axes.annotate(
                    name, (head.prefix, head.copying), xytext=(4, 3), textcoords="offset points", fontsize=8
                )
        axes.set_xlabel("prefix matching")
        axes.set_ylabel("copying")
    return figure

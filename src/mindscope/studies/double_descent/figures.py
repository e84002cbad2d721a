"""The study's figures: all in one over T, the vectors in two dimensions, and the plane."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from mindscope.reports import MUTED, RC, SERIES
from mindscope.studies.double_descent.results import DoubleDescentStudy, SampleSize


def draw_descent(study: DoubleDescentStudy) -> Figure:
    """Test loss above, and below it every kept dimensionality of samples and features."""
    sizes = study.sizes
    x = [size.samples for size in sizes]
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.6, 5.6))
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.4))
        for seed in range(len(sizes[0].test_loss)):
            above.plot(x, [size.test_loss[seed] for size in sizes], color=SERIES[1], lw=1, alpha=0.45)
            above.plot(x, [size.train_loss[seed] for size in sizes], color=SERIES[6], lw=1, alpha=0.45)
        above.plot(
            x, [np.mean(size.test_loss) for size in sizes], color=SERIES[1], marker="o", ms=3.5, label="test"
        )
        above.plot(
            x,
            [np.mean(size.train_loss) for size in sizes],
            color=SERIES[6],
            marker="o",
            ms=3.5,
            label="training",
        )
        above.set_ylabel("loss")
        above.legend(loc="upper left", ncols=2)
        for size in sizes:
            for values, colour, side in (
                (size.sample_dimensionalities, SERIES[1], 0.97),
                (size.feature_dimensionalities, SERIES[0], 1.03),
            ):
                below.plot(
                    np.full(len(values), size.samples * side),
                    values,
                    ls="",
                    marker="o",
                    ms=2.4,
                    alpha=0.4,
                    color=colour,
                )
        for name, field, colour in (
            ("samples, mean", "samples_share", SERIES[1]),
            ("features, the largest", "features_share", SERIES[0]),
        ):
            below.plot(x, [np.mean(getattr(size, field)) for size in sizes], color=colour, label=name)
        below.plot(
            x, [sizes[0].hidden / size.samples for size in sizes], color=MUTED, lw=1, ls=":", label="m / T"
        )
        below.set_xscale("log")
        below.set_yscale("log")
        below.set_ylim(1e-3, 1.1)
        for axis in (below.xaxis, below.yaxis):  # plain numbers: pages do not set mathematics
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
        below.set_ylabel("dimensionality")
        below.set_xlabel("samples, T")
        below.legend(loc="lower left")
    return figure


def draw_places(sizes: Sequence[SampleSize], shown: int = 6) -> Figure:
    """Hidden vectors of samples above, columns of W below, of the first seed; each in a scale of its own."""
    picked = [sizes[round(place)] for place in np.linspace(0, len(sizes) - 1, min(shown, len(sizes)))]
    with mpl.rc_context(RC):
        figure = Figure(figsize=(9.2, 3.4))
        grid = figure.subplots(2, len(picked), squeeze=False)
        for column, size in enumerate(picked):
            for row, (places, colour) in enumerate(
                ((size.sample_places, SERIES[1]), (size.feature_places, SERIES[0]))
            ):
                axes = grid[row][column]
                x, y = np.array(places)
                limit = 1.15 * max(np.abs(x).max(), np.abs(y).max(), 1e-9)
                rays = np.stack([np.zeros((len(x), 2)), np.stack([x, y], 1)], 1)  # rays x ends x coordinates
                axes.add_collection(LineCollection(list(rays), colors=colour, linewidths=0.6, alpha=0.6))
                axes.plot(x, y, ls="", marker="o", ms=2, color=colour)
                axes.set_xlim(-limit, limit)
                axes.set_ylim(-limit, limit)
                axes.set_aspect("equal")
                axes.set_xticks([])
                axes.set_yticks([])
            grid[0][column].set_title(f"T = {size.samples}", fontsize=9, pad=4)
        grid[0][0].set_ylabel("samples", fontsize=9)
        grid[1][0].set_ylabel("features", fontsize=9)
    return figure

"""Figures of groups show the numbers they are given."""

import numpy as np
from matplotlib.patches import Rectangle

from mindscope.reports import bars_by_group, dots_by_group


def test_bars_stand_side_by_side_in_every_group():
    figure = bars_by_group(
        ["evil", "kind"],
        {"unsteered": [10, 20], "steered": [80, None]},
        "score",
        errors={"unsteered": ([5, 15], [15, 30])},
        ylim=(0, 100),
    )
    (axes,) = figure.axes
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    np.testing.assert_array_equal([bar.get_height() for bar in bars], [10, 20, 80, np.nan])
    assert bars[0].get_x() < bars[2].get_x() < bars[1].get_x()  # by group, then by series
    (intervals,) = axes.collections
    np.testing.assert_array_equal([ends[:, 1] for ends in intervals.get_segments()], [[5, 15], [15, 30]])
    assert [text.get_text() for text in axes.texts] == ["10", "20", "80"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["evil", "kind"]


def test_dots_keep_to_the_line_of_their_group():
    figure = dots_by_group({"planted": [3, 4, None], "ordinary": [1]}, "signal", mark=2.5)
    (axes,) = figure.axes
    planted, ordinary, mark = axes.get_lines()
    np.testing.assert_array_equal(planted.get_xdata(), [3, 4, np.nan])
    assert all(abs(y) < 0.5 for y in planted.get_ydata())
    assert all(abs(y - 1) < 0.5 for y in ordinary.get_ydata())
    assert list(mark.get_xdata()) == [2.5, 2.5]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["planted", "ordinary"]

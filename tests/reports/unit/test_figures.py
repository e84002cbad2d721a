"""The figures show the numbers they are given."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mindscope.reports import CurveLine, bars_by_layer, heatmap, lines_with_bands
from mindscope.reports.style import to_svg


def test_lines_and_bands():
    figure = lines_with_bands(
        [
            CurveLine("evil", [1, None, 3], [0, None, 2], [2, None, 4]),
            CurveLine("random", [0, 0, 0], baseline=True),
        ],
        [-1, 0.5, 2],
        "coefficient",
        "score",
        ylim=(0, 100),
        mark=0.5,
    )
    (axes,) = figure.axes
    evil, random, mark = axes.get_lines()
    np.testing.assert_array_equal(evil.get_ydata(), [1, np.nan, 3])
    np.testing.assert_array_equal(evil.get_xdata(), [-1, 0.5, 2])
    assert random.get_linestyle() == "--"
    assert list(mark.get_xdata()) == [0.5, 0.5]
    assert len(axes.collections) == 1
    assert axes.get_ylim() == (0, 100)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["evil", "random"]


def test_bars():
    figure = bars_by_layer(
        {"norm": [1, 2], "gap": [3, float("nan")]}, "norm", errors={"norm": ([0.5, 1], [2, 3])}, highlight=1
    )
    (axes,) = figure.axes
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    np.testing.assert_array_equal([bar.get_height() for bar in bars], [1, 2, 3, np.nan])
    assert [bar.get_alpha() for bar in bars] == [0.45, 1.0, 0.45, 1.0]
    assert bars[0].get_x() < bars[2].get_x() < bars[1].get_x()


def test_heatmap_shades_by_size_and_sign():
    figure = heatmap([[0, 50, 100], [-50, None, 200]], ["a", "b"], [1, -2, 3], limit=100, mark=(0, 1))
    (axes,) = figure.axes
    *cells, frame = axes.patches
    shades = [cell.get_alpha() for cell in cells]
    assert shades[0] < shades[1] < shades[2] == shades[5]
    assert shades[3] == shades[1]
    assert cells[3].get_facecolor()[:3] != cells[1].get_facecolor()[:3]
    assert frame.get_xy() == cells[1].get_xy()
    assert [text.get_text() for text in axes.texts] == ["0", "50", "100", "\N{MINUS SIGN}50", "200"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "\N{MINUS SIGN}2", "3"]


@pytest.mark.parametrize("values", [[[0.0, 0.0]], [[None, None]], [[1e-9, 2e-9]]])
def test_heatmap_of_nothing_much(values):
    assert heatmap(values, ["a"], ["b", "c"]).axes


@pytest.mark.filterwarnings("error")
def test_words_that_the_measuring_font_lacks_stand_in_the_figure_as_text():
    figure = Figure()
    figure.subplots().set_title("请说 请")
    assert "请说 请" in to_svg(figure, "two words")

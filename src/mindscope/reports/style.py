"""The look of figures, and their way into a page whose colours follow the reader's theme.

Figures are drawn in the colours of the light theme. In a page each of these colours becomes a CSS variable,
so that the same figure is right on paper, in a notebook and in the dark.
"""

import io
import re
import warnings
from importlib import resources
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.figure import Figure

INK, MUTED, GRID = "#22262b", "#6b7178", "#dedbd3"
SERIES = ("#2a6f97", "#c8553d", "#4b7f52", "#b07d12", "#6d5a96", "#a4476e", "#5c6b73")
"""One colour a series, in this order; the last is neutral, for baselines."""

VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--line"} | {
    colour: f"--c{number}" for number, colour in enumerate(SERIES, 1)
}

RC: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched and takes the font of the page
    "svg.hashsalt": "mindscope",  # the same figure gives the same bytes
    "text.parse_math": False,  # labels are plain text, whoever wrote them
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def sheet(*names: str) -> str:
    """Style sheets of this folder, one behind the other; "palette" has the colours and fonts of all pages."""
    folder = resources.files("mindscope.reports")
    return "\n".join(folder.joinpath(f"{name}.css").read_text("utf-8") for name in names)


def to_svg(figure: Figure, label: str) -> Markup:
    """Draw a figure as inline SVG. `label` is what a screen reader says."""
    file = io.StringIO()
    with mpl.rc_context(RC), warnings.catch_warnings():
        # Text stays text, so the reader's fonts draw what the one that measures it does not have.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, format="svg", bbox_inches="tight", pad_inches=0.05, metadata={"Date": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r' (xmlns(:xlink)?)="[^"]*"', "", svg)  # HTML knows SVG without being told
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", svg, count=1)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1))

"""How the site is built: MyST pages, one theme, formulas as MathML; nothing is asked from the network.

`tools/build_site.py` lays the pages out as they lie in the repository, adds the reference, and runs Sphinx.
"""

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

project = "mindscope"
author = "the mindscope authors"
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "mindscope"
html_static_path = ["docs/site"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
smartquotes = False  # options begin with two dashes
highlight_language = "text"
html_math_renderer = "mathml"
templates_path: list[str] = []
exclude_patterns = ["docs/reviews.md"]


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _display(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Formulas are written as MathML, which browsers show without a script or a font of its own."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))

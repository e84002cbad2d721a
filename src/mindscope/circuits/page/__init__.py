"""The page of a graph: one HTML file with everything in it, for a browser without a network.

`page.html`, `page.css` and `scripts/` are kept as people write them and put into the page when it is made.
The page holds the graph as public graph files have it, so that what it saves opens elsewhere.
"""

from mindscope.circuits.page.page import GraphPage, graph_page, public_page

__all__ = ["GraphPage", "graph_page", "public_page"]

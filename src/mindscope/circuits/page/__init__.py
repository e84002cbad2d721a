"""The page of a graph: one HTML file with everything in it, for a browser without a network.

`page.html`, `page.css` and `page.bundle.js` are put into the page when it is made. The bundle is built from
the modules in `web/` (`make page`): `model` and `layout` are pure, `links` draws on a canvas, `store` has the
state, the address and what is saved, `views` has the DOM. Each imports from itself and from those before it.
The page holds the graph as public graph files have it, so that what it saves opens elsewhere.
"""

from mindscope.circuits.page.page import (
    GraphPage,
    build_graph_page,
    build_public_page,
    hash_page_script,
    read_page_content,
)

__all__ = ["GraphPage", "build_graph_page", "build_public_page", "hash_page_script", "read_page_content"]

"""The built pages of the workbench over HTTP, under a policy that lets them ask nothing but this server.

The pages hold nothing of a model, of vectors or of runs, so they are open to whoever can reach the server;
what they ask for afterwards needs the token.
"""

from __future__ import annotations

import mimetypes
from importlib import resources
from typing import TYPE_CHECKING

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from mindscope.core import hash_source
from mindscope.server.api.errors import ApiError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

ROOT = "/workbench/"
"""Where the pages are. All of it is open, so nothing else may be put here."""
PAGES = ("chat", "traits", "data", "training", "features", "circuits", "gate", "audit", "runs")
"""Pages by the first part of their address; what they show stands behind `#`, which browsers do not send."""
PLOT_STYLE = """:where(.plot) {
  --plot-background: white;
  display: block;
  height: auto;
  height: intrinsic;
  max-width: 100%;
}
:where(.plot text),
:where(.plot tspan) {
  white-space: pre;
}"""
"""What Observable Plot puts into every chart of the class `plot`: the one style that may stand in a page."""


def page_policy() -> str:
    """The content security policy of the pages: no text in them can become a script or a style."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            f"style-src 'self' {hash_source(PLOT_STYLE)}",
            "img-src 'self' data:",
            "connect-src 'self'",
            "frame-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
GRAPH_PAGE = "graph"
"""A page of its own, since the graph's modules have the whole window and its style."""
_FOREVER = "public, max-age=31536000, immutable"  # a file's name holds a digest of its content


def static_folder() -> Traversable:
    """What `make web` built."""
    return resources.files("mindscope.server.workbench").joinpath("static")


def build_page_router() -> APIRouter:
    """The routes of the pages, which are no part of the API's document."""
    router = APIRouter(include_in_schema=False)
    folder = static_folder()

    @router.get("/")
    async def root() -> Response:
        return RedirectResponse(ROOT)

    @router.get(ROOT + "{path:path}")
    async def page(path: str) -> Response:
        if path.startswith("assets/"):
            return _asset(folder.joinpath("assets"), path.removeprefix("assets/"))
        name = path.strip("/")
        if name not in ("", GRAPH_PAGE, *PAGES):
            raise ApiError(404, "the workbench has no such page: begin at /workbench/")
        built = "graph.html" if name == GRAPH_PAGE else "index.html"
        headers = {**HEADERS, "Content-Security-Policy": page_policy(), "Cache-Control": "no-cache"}
        return Response(folder.joinpath(built).read_bytes(), headers=headers, media_type="text/html")

    return router


def _asset(folder: Traversable, name: str) -> Response:
    """A built file, by a name that is looked for among those that are there and never made a path."""
    for file in folder.iterdir():
        if file.name == name:
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            headers = {**HEADERS, "Cache-Control": _FOREVER}
            return Response(file.read_bytes(), headers=headers, media_type=kind)
    raise ApiError(404, "the workbench has no such file: load the page anew")

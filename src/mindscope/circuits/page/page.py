"""A graph's page: template, style, script and values in one file."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from mindscope.circuits.files.write_json import GraphView, build_graph_json
from mindscope.circuits.graph.findings import AttentionFindings, GraphValidation
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.prune import PrunedGraph
from mindscope.circuits.graph.supernodes import Supernode
from mindscope.circuits.page.content import Details, build_page_content
from mindscope.core import hash_source, parse_exact_json
from mindscope.errors import DataError
from mindscope.reports import sheet
from mindscope.store import write_text

SCRIPT = "page.bundle.js"
"""Built from the modules in `web/` and kept with them, so that who uses mindscope needs no Node."""


class GraphPage(str):
    """The whole page, as text."""

    __slots__ = ()

    def write(self, path: Path | str) -> Path:
        """Write the page to `path`, atomically, and hand the path back."""
        write_text(path, self)
        return Path(path)


def build_graph_page(
    graph: AttributionGraph,
    pruned: PrunedGraph | None = None,
    supernodes: Iterable[Supernode] = (),
    labels: Mapping[str, str] | None = None,
    details: Details | None = None,
    title: str = "",
) -> GraphPage:
    """The page of a graph, which works from one file and without a network.

    What the graph knows of its validation and of attention heads is on it.

    Args:
        graph: the whole graph.
        pruned: what of it is shown; the usual pruning if left out. The page's slider goes down from there.
        supernodes: groups, which are in the subgraph's panel at first.
        labels: names of nodes, by the nodes' ids.
        details: what is known of features by (layer, latent), as `explain.feature_json` writes it; that of
            features which are not shown is left out.
        title: at its head; the graph's prompt if left out.

    Raises:
        DataError: what is given beside the graph does not fit it.
    """
    slug = re.sub(r"[^\w-]+", "-", title or str(graph.metadata.get("slug") or "graph")).strip("-")
    view = GraphView(supernodes=tuple(supernodes), labels=dict(labels or {}))
    document = build_graph_json(graph, pruned, slug=slug or "graph", view=view)
    return build_public_page(
        document, details=details, validation=graph.validation, qk=graph.attention, title=title
    )


def build_public_page(
    document: Mapping[str, Any],
    *,
    details: Details | None = None,
    validation: GraphValidation | Mapping[str, Any] | None = None,
    qk: AttentionFindings | Mapping[str, Any] | None = None,
    title: str = "",
) -> GraphPage:
    """The page of a public graph document, ours or another tool's.

    Args:
        document: the public JSON.
        details: as for :func:`build_graph_page`.
        validation: predicted and actual changes of interventions.
        qk: what is known of attention heads: `scores` and `loadings`; loadings of links that are not shown
            are left out.
        title: at its head; the graph's prompt if left out.

    Raises:
        DataError: the document is not a public graph, or what is given beside it does not fit it.
    """
    content = build_page_content(document, details, validation, qk)
    metadata = document["metadata"]
    # Only "<" could end the block of values; JSON has it inside strings alone, where it can be escaped.
    values = _encode(content).replace("<", "\\u003c")
    script, css = _text(SCRIPT), f"{sheet('palette')}\n{_text('page.css')}"
    environment = Environment(loader=PackageLoader("mindscope.circuits", "page"), autoescape=True)
    return GraphPage(
        environment.get_template("page.html").render(
            title=title or metadata.get("prompt") or metadata.get("slug") or "Attribution graph",
            prompt=metadata.get("prompt", ""),
            version=version("mindscope"),
            policy=f"default-src 'none'; script-src {hash_source(script)}; style-src {hash_source(css)}; "
            "base-uri 'none'; form-action 'none'",
            css=Markup(css),
            script=Markup(script),
            content=Markup(values),
        )
    )


def read_page_content(page: str) -> dict[str, Any]:
    """The values of a page that `build_graph_page` made: what its script reads.

    Raises:
        DataError: it is no such page.
    """
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.DOTALL)
    try:
        content = parse_exact_json(found[1]) if found else None
    except ValueError:
        content = None
    if not isinstance(content, dict) or not {"metadata", "nodes", "shown", "links"} <= content.keys():
        raise DataError("this is not the page of a graph: give one that `mindscope circuit` wrote")
    return content


def hash_page_script() -> str:
    """The source expression by which a policy lets a browser run the script of these pages and no other."""
    return hash_source(_text(SCRIPT))


def _encode(content: Mapping[str, Any]) -> str:
    try:
        return to_json(content, inf_nan_mode="null").decode()
    except PydanticSerializationError:  # half a character, which JSON can hold as an escape alone
        return json.dumps(to_jsonable_python(content, inf_nan_mode="null"))


@cache
def _text(name: str) -> str:
    return resources.files("mindscope.circuits.page").joinpath(name).read_text("utf-8")

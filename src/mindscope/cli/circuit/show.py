"""`mindscope circuit show`, `prune` and `compare`: what is in graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindscope.cli import output
from mindscope.cli.circuit.options import EdgeShare, GraphFile, NodeShare, OpenedGraph, open_graph
from mindscope.cli.circuit.tables import facts, neighbours, node_row, print_rows, target_rows, top_nodes
from mindscope.cli.output import Json
from mindscope.errors import DataError

Count = Annotated[int, typer.Option("--top", min=1, help="Rows of a table.")]


def show(
    graph: GraphFile,
    node: Annotated[
        list[str] | None,
        typer.Option(help="Show what leads to a node and what it leads to, by its name. Repeatable."),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="Show the strongest ways from this node to --to.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--to", help="Where the ways lead; the first target by default.")
    ] = None,
    groups: Annotated[
        bool, typer.Option("--groups", help="Show supernodes: those in the file, else automatic ones.")
    ] = False,
    top: Count = 20,
    nodes: NodeShare = 0.8,
    edges: EdgeShare = 0.98,
    json: Json = False,
) -> None:
    """Show a graph: scores, the most influential nodes; inputs and outputs of a node, ways, supernodes."""
    opened = open_graph(graph, nodes, edges)
    tables: dict[str, list[dict[str, Any]]] = {}
    for name in node or ():
        found = neighbours(opened.graph, opened.pruned, opened.graph.find(name), opened.view.labels, top)
        tables |= {f"{side} of {name}": rows for side, rows in found.items()}
    if source is not None:
        tables["ways"] = _ways(opened, source, target, top)
    elif target is not None:
        raise DataError("--to needs --from")
    if groups:
        tables["supernodes"] = _groups(opened)
    known = facts(opened.graph, opened.pruned)
    if not tables:
        tables["targets"] = target_rows(opened.graph)
        tables["most influential"] = top_nodes(opened.graph, opened.pruned, opened.view.labels, top)
        if json:
            output.print_json(known | {"targets": tables["targets"], "nodes": tables["most influential"]})
            return
        print_rows([{"": key, "value": value} for key, value in known.items() if value is not None])
    elif json:
        output.print_json(tables)
        return
    for title, rows in tables.items():
        print_rows(rows, title)


def prune(
    graph: GraphFile,
    to: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
    nodes: NodeShare = 0.8,
    edges: EdgeShare = 0.98,
    json: Json = False,
) -> None:
    """Keep the nodes and edges with the most influence, in a smaller file."""
    opened = open_graph(graph, nodes, edges)
    small = opened.pruned.graph(opened.graph)
    small.save(to)
    found = {
        "features": f"{small.n_features} of {opened.graph.n_features}",
        "edges": f"{int((small.edges != 0).sum())} of {int((opened.graph.edges != 0).sum())}",
        "bytes": to.stat().st_size,
        "graph": str(to),
    }
    if json:
        output.print_json(found)
    else:
        print_rows([found])


def compare(
    first: GraphFile,
    second: GraphFile,
    align: Annotated[
        str, typer.Option(help="Which tokens stand for each other: tokens (alike) or end (counted from it).")
    ] = "tokens",
    top: Count = 20,
    nodes: NodeShare = 0.8,
    edges: EdgeShare = 0.98,
    json: Json = False,
) -> None:
    """Compare two graphs of one model and dictionary: what both have, what one has alone, what changed."""
    from mindscope.circuits import compare_graphs as compare_graphs

    if align not in ("tokens", "end"):
        raise DataError(f"--align {align}: use tokens or end")
    sides = [open_graph(path, nodes, edges) for path in (first, second)]
    one, other = (side.pruned.graph(side.graph) for side in sides)
    found = compare_graphs(one, other, align)
    labels = {**sides[1].view.labels, **sides[0].view.labels}
    small = [open_side.pruned for open_side in (_whole(one), _whole(other))]
    tables = {
        "changed": [
            {
                "node": one.id(shared.first),
                "in the second": other.id(shared.second),
                "influence": shared.influences[0],
                "there": shared.influences[1],
                "text": labels.get(one.id(shared.first), ""),
            }
            for shared in found.shared[:top]
        ],
        "only in the first": [node_row(one, small[0], i, labels) for i in found.only_first[:top]],
        "only in the second": [node_row(other, small[1], i, labels) for i in found.only_second[:top]],
        "edges": [
            {
                "source": one.id(e.source),
                "target": one.id(e.target),
                "weight": e.weights[0],
                "there": e.weights[1],
            }
            for e in found.edges[:top]
        ],
    }
    known = {
        "shared": len(found.shared),
        "only_first": len(found.only_first),
        "only_second": len(found.only_second),
        "overlap": found.overlap,
    }
    if json:
        output.print_json(known | tables)
        return
    print_rows([known])
    for title, rows in tables.items():
        print_rows(rows, title)


def _whole(graph: Any) -> OpenedGraph:
    from mindscope.circuits import GraphView
    from mindscope.circuits import prune_graph as prune_graph

    return OpenedGraph(graph, prune_graph(graph, 1.0, 1.0), GraphView())


def _ways(opened: OpenedGraph, source: str, target: str | None, top: int) -> list[dict[str, Any]]:
    from mindscope.circuits import find_paths

    graph = opened.graph
    to = graph.n_sources if target is None else graph.find(target)
    found = find_paths(graph, graph.find(source), to, top)
    rows = [
        {
            "share": one.share,
            "sign": "+" if one.sign > 0 else "-",
            "way": " > ".join(map(graph.id, one.nodes)),
        }
        for one in found.paths
    ]
    return [*rows, {"share": found.total, "sign": None, "way": "all ways together"}]


def _groups(opened: OpenedGraph) -> list[dict[str, Any]]:
    from mindscope.circuits import find_supernodes

    found = opened.view.supernodes or find_supernodes(opened.graph, opened.pruned, labels=opened.view.labels)
    return [
        {"label": one.label, "score": one.score, "size": len(one.members), "members": " ".join(one.members)}
        for one in found
    ]

"""`mindscope circuit heads`: which heads carry the edges of a graph, and why a head looked where it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mindscope.cli import options, output
from mindscope.cli.circuit.intervene import write_page
from mindscope.cli.circuit.options import (
    GRAPH,
    DictionaryName,
    GraphFile,
    OpenedGraph,
    find_targets,
    open_graph,
    replacement_of,
)
from mindscope.cli.circuit.tables import SHOWN, print_rows
from mindscope.cli.output import Json
from mindscope.errors import DataError
from mindscope.jobs import load_model

if TYPE_CHECKING:
    from mindscope.circuits import HeadLoadings, QKAttribution


def heads(
    model: options.ModelName,
    graph: GraphFile,
    into: Annotated[
        list[str] | None, typer.Option(help="Only edges into this node, by its name. Repeatable.")
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(metavar="LAYER.HEAD", help="Tell instead why this head looked where it did."),
    ] = None,
    query: Annotated[int, typer.Option(help="The token that looks; negative from the end.")] = -1,
    key: Annotated[
        int | None, typer.Option(help="The token that it looks at; by default the one it looks at most.")
    ] = None,
    relative: Annotated[
        bool, typer.Option("--relative", help="Against the mean of all tokens that it may look at.")
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="Edges, or pairs of a score, to show.")] = 20,
    direction: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VECTORS[@LAYER]", help="What the graph explains, where it is directions. Repeatable."
        ),
    ] = None,
    dictionary: DictionaryName = None,
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Show which heads carry a graph's strongest edges, or which features made a head look at a token."""
    from mindscope.circuits import compute_head_loadings, compute_qk_attribution, with_attention

    place = head_of(head) if head is not None else None
    if place is None and (key is not None or relative):
        raise DataError("--key and --relative need --head")
    loaded = load_model(model, "float32", device)
    opened = open_graph(graph)
    replacement = replacement_of(opened.graph, dictionary, loaded)
    loadings, score = None, None
    if place is not None:
        score = compute_qk_attribution(loaded, replacement, opened.graph, *place, query, key)
        known = with_attention(opened.graph, scores=[score], top=top, relative=relative)
    else:
        wanted = find_targets(loaded, (), None, direction, (), 1, 1.0) if direction else None
        shown = opened.pruned.graph(opened.graph)
        with output.progress() as report:
            loadings = compute_head_loadings(
                loaded, replacement, shown, top, into=into, targets=wanted, progress=report
            )
        known = with_attention(opened.graph, loadings)
    if graph.suffix != ".json":
        known.save(graph / GRAPH if graph.is_dir() else graph)
        if graph.is_dir():
            write_page(graph, known, opened.pruned, loaded, replacement)
    if loadings is not None:
        if json:
            output.print_json(loadings.to_json())
        else:
            print_rows(_edges(opened, loadings), f"heads of the {len(loadings.edges)} strongest edges")
    if score is not None:
        if json:
            output.print_json(score.to_json(top, relative))
        else:
            _print_score(opened, score, top, relative)


def head_of(name: str) -> tuple[int, int]:
    """(layer, head) of `LAYER.HEAD`."""
    try:
        layer, head = map(int, name.split("."))
    except ValueError:
        raise DataError(f"{name!r} is no head: write LAYER.HEAD, such as 2.5") from None
    return layer, head


def _edges(opened: OpenedGraph, loadings: HeadLoadings) -> list[dict[str, Any]]:
    return [
        {
            "source": source,
            "target": target,
            "weight": weight,
            "heads": ", ".join(
                f"{layer}.{head} {value:+.3g}" for layer, head, value in loadings.strongest(at)
            ),
            "text": f"{_text(opened, source)} > {_text(opened, target)}"[:SHOWN].strip(" >"),
        }
        for at, ((source, target), weight) in enumerate(
            zip(loadings.edges, loadings.weights.tolist(), strict=True)
        )
    ]


def _print_score(opened: OpenedGraph, score: QKAttribution, top: int, relative: bool) -> None:
    tokens = opened.graph.tokens
    against = "less the mean of all keys" if relative else "score"
    print_rows(
        [
            {
                "head": f"{score.layer}.{score.head}",
                "query": f"{score.query} {tokens[score.query]!r}",
                "key": f"{score.key} {tokens[score.key]!r}",
                "attention": score.attention,
                "score": score.score,
                "less the mean": score.total(relative=True),
            }
        ]
    )
    kinds = [{"query side": kind, **row} for kind, row in score.by_kind(relative).items()]
    print_rows(kinds, f"{against}: kinds of the query side (rows) with kinds of the key side")
    pairs = [
        {
            "query side": one.query,
            "key side": one.key,
            "adds": one.value,
            "text": f"{_text(opened, one.query)} x {_text(opened, one.key)}"[:SHOWN].strip(" x"),
        }
        for one in score.pairs(top, relative)
    ]
    print_rows(pairs, f"largest pairs, {against}")


def _text(opened: OpenedGraph, name: str) -> str:
    """What people call a node: its label, or its token."""
    if name.startswith("E_"):
        return repr(opened.graph.tokens[int(name.rpartition("_")[2])])
    return opened.view.labels.get(name, "")

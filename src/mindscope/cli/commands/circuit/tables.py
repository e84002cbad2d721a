"""What `mindscope circuit` prints of graphs, of changes, and of heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import name_count, print_records, print_text

if TYPE_CHECKING:
    from mindscope.circuits import GraphValidation, QKScore
    from mindscope.jobs.circuit import (
        ExportReport,
        GraphComparisonReport,
        GraphListing,
        GraphSummary,
        HeadsReport,
        InterventionReport,
        PruneReport,
        TraceReport,
    )

SHOWN = 60
"""Characters of a text in a table."""


def print_trace(result: TraceReport) -> None:
    """The graph, and where it and its page are."""
    _print_summary(result)
    print_text(f"graph: {result.graph}")
    print_text(f"page: {result.report}")


def print_graph(result: GraphListing) -> None:
    """What was asked for of a graph; the graph itself if nothing was."""
    for node in result.neighbours:
        print_records([row.to_json() for row in node.inputs], f"inputs of {node.node}")
        print_records([row.to_json() for row in node.outputs], f"outputs of {node.node}")
    if result.paths is not None:
        rows = [
            {"share": path.share, "sign": "+" if path.sign > 0 else "-", "way": " > ".join(path.nodes)}
            for path in result.paths.paths
        ]
        print_records(
            [*rows, {"share": result.paths.total, "sign": None, "way": "all ways together"}], "ways"
        )
    if result.supernodes is not None:
        rows = [
            {
                "label": group.label,
                "score": group.score,
                "size": len(group.members),
                "members": " ".join(group.members),
            }
            for group in result.supernodes
        ]
        print_records(rows, "supernodes")
    if not result.neighbours and result.paths is None and result.supernodes is None:
        _print_summary(result)


def print_pruned(result: PruneReport) -> None:
    """How much stays of how much."""
    print_records(
        [
            {
                "features": f"{result.features} of {result.features_before}",
                "edges": f"{result.edges} of {result.edges_before}",
                "bytes": result.bytes,
                "graph": result.graph,
            }
        ]
    )


def print_comparison(result: GraphComparisonReport) -> None:
    """What both graphs have, and what only one has."""
    print_records(
        [
            {
                "shared": result.n_shared,
                "only in the first": result.n_only_first,
                "only in the second": result.n_only_second,
                "overlap": result.overlap,
            }
        ]
    )
    if not result.changed and not result.edges:
        print_text("what both have did not change")
    print_records([row.to_json() for row in result.changed], "changed")
    print_records([row.to_json() for row in result.only_first], "only in the first")
    print_records([row.to_json() for row in result.only_second], "only in the second")
    print_records([row.to_json() for row in result.edges], "edges")


def print_intervention(result: InterventionReport) -> None:
    """The next token without and with the change, and what is written."""
    rows = [token.to_json() for token in result.tokens]
    print_records(rows, f"next token, {name_count(result.changes, 'feature')} changed, {result.mode}")
    if result.texts is not None:
        print_text(f"before: {result.texts.before}")
        print_text(f"after: {result.texts.after}")


def print_validation(result: GraphValidation) -> None:
    """How predicted and actual changes agree."""
    agreements = {
        "overall": result.overall,
        "features": result.features,
        "targets": result.targets,
        "logits": result.logits,
    }
    rows = [
        {
            "of": name,
            "pairs": agreement.pairs,
            "r": agreement.r,
            "low": agreement.low,
            "high": agreement.high,
            "same sign": agreement.sign_agreement,
            "slope": agreement.slope,
            "NMSE": agreement.nmse,
        }
        for name, agreement in agreements.items()
    ]
    changed = name_count(len(result.changed), "intervention")
    print_records(rows, f"predicted against actual changes of {changed}, {result.mode}")


def print_heads(result: HeadsReport) -> None:
    """The heads of each edge, or the score of a head."""
    if result.edges is not None:
        rows = [
            {
                "source": edge.source,
                "target": edge.target,
                "weight": edge.weight,
                "heads": ", ".join(f"{head.layer}.{head.head} {head.value:+.3g}" for head in edge.heads),
                "text": _join(result.texts, edge.source, ">", edge.target),
            }
            for edge in result.edges
        ]
        print_records(rows, f"heads of the {len(result.edges)} strongest edges")
    if result.score is not None:
        _print_score(result, result.score)


def print_export(result: ExportReport) -> None:
    """Where the graph was written to."""
    print_text(f"written: {result.written}")


def _print_summary(result: GraphSummary) -> None:
    facts = result.model_dump(exclude={"targets", "nodes", "run", "graph", "report", "borrowed"})
    lists = ("neighbours", "paths", "supernodes")
    rows = [
        {"": name.replace("_", " "), "value": value}
        for name, value in facts.items()
        if value is not None and name not in lists
    ]
    print_records(rows)
    print_records([target.to_json() for target in result.targets], "targets")
    print_records([node.to_json() for node in result.nodes], "most influential")


def _print_score(result: HeadsReport, score: QKScore) -> None:
    tokens = result.tokens
    measure = "less the mean of all keys" if score.relative else "score"
    print_records(
        [
            {
                "head": f"{score.layer}.{score.head}",
                "query": f"{score.query} {tokens[score.query]!r}",
                "key": f"{score.key} {tokens[score.key]!r}",
                "attention": score.attention,
                "score": score.score,
                "less the mean": score.relative_score,
            }
        ]
    )
    kinds = [{"query side": kind, **row} for kind, row in score.kinds.items()]
    print_records(kinds, f"{measure}: kinds of the query side (rows) with kinds of the key side")
    pairs = [
        {
            "query side": pair.query,
            "key side": pair.key,
            "adds": pair.value,
            "text": _join(result.texts, pair.query, "x", pair.key),
        }
        for pair in score.pairs
    ]
    print_records(pairs, f"largest pairs, {measure}")


def _join(texts: dict[str, str], first: str, sign: str, second: str) -> str:
    """What people call two nodes, as far as they call them anything."""
    return f"{texts.get(first, '')} {sign} {texts.get(second, '')}"[:SHOWN].strip(f" {sign}")

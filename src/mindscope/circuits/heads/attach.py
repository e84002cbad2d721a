"""What is known of attention heads, kept with a graph."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.heads.loadings import HeadLoadings
from mindscope.circuits.heads.qk import QKAttribution


def with_attention(
    graph: AttributionGraph,
    loadings: HeadLoadings | None = None,
    scores: Sequence[QKAttribution] = (),
    *,
    top: int = 20,
    relative: bool = False,
) -> AttributionGraph:
    """The graph with what is known of its heads, which is saved with it and shown on its page.

    It lies in `metadata["attention"]`: `loadings` as `HeadLoadings.to_json` has them, `scores` as
    `QKAttribution.to_json` has them. What the graph knew of other edges and scores stays.

    Args:
        graph: of the same prompt.
        loadings: of its edges.
        scores: of its heads.
        top: pairs of each score.
        relative: whether pairs are those relative to the query's other keys.
    """
    known: dict[str, Any] = dict(graph.metadata.get("attention") or {})
    edges = {(one["source"], one["target"]): one for one in known.get("loadings", ())}
    edges |= {(one["source"], one["target"]): one for one in (loadings.to_json() if loadings else ())}
    heads = {_place(one): one for one in known.get("scores", ())}
    heads |= {_place(one): one for one in (score.to_json(top, relative) for score in scores)}
    attention = {"loadings": list(edges.values()), "scores": list(heads.values())}
    return replace(graph, metadata={**graph.metadata, "attention": attention})


def _place(score: dict[str, Any]) -> tuple[int, ...]:
    return tuple(score[name] for name in ("layer", "head", "query", "key"))

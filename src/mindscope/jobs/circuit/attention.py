"""Attention in a graph: which heads carry its edges, and why a head looked where it did."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from mindscope.circuits import EdgeHeads, QKScore
from mindscope.errors import DataError
from mindscope.jobs.circuit.inputs import (
    GraphDirectionsSpec,
    GraphSpec,
    OpenedGraph,
    ReplacementSpec,
    find_graph_directions,
    graph_file,
    open_graph,
    replacement_of,
)
from mindscope.jobs.circuit.page import write_page
from mindscope.jobs.job import Reporter
from mindscope.jobs.specs import Float32ModelSpec
from mindscope.store import BorrowingDocument


def parse_head(name: object) -> object:
    """(layer, head) of `LAYER.HEAD`; what is not a text stays as it is."""
    if not isinstance(name, str):
        return name
    try:
        layer, head = map(int, name.split("."))
    except ValueError:
        raise DataError(f"{name!r} is not a head: write LAYER.HEAD, such as 2.5") from None
    return layer, head


class ShowHeadsSpec(Float32ModelSpec, ReplacementSpec, GraphDirectionsSpec, GraphSpec):
    """What `heads` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "graph")

    into: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "NAME"})
    """Show only edges into this node, by its name. May be repeated."""
    head: Annotated[tuple[int, int] | None, BeforeValidator(parse_head)] = Field(
        default=None, json_schema_extra={"metavar": "LAYER.HEAD"}
    )
    """Say why this head looked where it did, in place of which heads carry edges."""
    query: int = -1
    """The position of the token that looks; negative ones count from the end."""
    key: int | None = None
    """The position of the token that it looks at; by default the one that it looks at most."""
    relative: bool = False
    """Compare with the mean of all tokens that the head may look at."""
    top: int = Field(default=20, ge=1)
    """How many edges, or pairs of a score, to show."""

    @model_validator(mode="after")
    def _require_a_head(self) -> ShowHeadsSpec:
        if self.head is None and (self.key is not None or self.relative):
            raise DataError("--key and --relative need --head")
        return self


class HeadsReport(BorrowingDocument):
    """The heads of the strongest edges, or the score of one head; None is what was not asked for.

    Attributes:
        texts: what people call the nodes that are named, where they have a label or are a token.
        tokens: those of the prompt.
    """

    edges: tuple[EdgeHeads, ...] | None = None
    score: QKScore | None = None
    texts: dict[str, str]
    tokens: tuple[str, ...]


def show_heads(spec: ShowHeadsSpec, *, reporter: Reporter) -> HeadsReport:
    """Show which heads carry a graph's strongest edges, or which features made a head look at a token."""
    from mindscope.circuits import (
        AttentionScore,
        compute_head_loadings,
        compute_qk_attribution,
        with_attention,
    )

    opened = open_graph(spec.graph)
    model = spec.load()
    replacement = replacement_of(opened.graph, spec.dictionary, model)
    edges, score = None, None
    if spec.head is not None:
        place = AttentionScore(*spec.head, spec.query, spec.key)
        attribution = compute_qk_attribution(model, replacement, opened.graph, place)
        score = attribution.summarise(spec.top, spec.relative)
        graph = with_attention(opened.graph, scores=[score])
    else:
        loadings = compute_head_loadings(
            model,
            replacement,
            opened.pruned.graph(opened.graph),
            spec.top,
            into=spec.into or None,
            targets=find_graph_directions(model, spec.direction),
            progress=reporter.progress,
        )
        edges = loadings.summarise()
        graph = with_attention(opened.graph, edges)
    if spec.graph.suffix != ".json":
        graph.save(graph_file(spec.graph))
        if spec.graph.is_dir():
            write_page(spec.graph, graph, opened.pruned, model, replacement, reporter)
    names = [name for edge in edges or () for name in (edge.source, edge.target)]
    names += [name for pair in (score.pairs if score else ()) for name in (pair.query, pair.key)]
    return HeadsReport(
        borrowed=model.borrowed,
        edges=edges,
        score=score,
        texts={name: text for name in dict.fromkeys(names) if (text := _text(opened, name))},
        tokens=opened.graph.tokens,
    )


def _text(opened: OpenedGraph, name: str) -> str:
    """What people call a node: its label, or its token."""
    if name.startswith("E_"):
        return repr(opened.graph.tokens[int(name.rpartition("_")[2])])
    return opened.view.labels.get(name, "")

"""Tracing: which features and tokens led to the next token."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator, model_validator

from mindscope.circuits import TraceConfig
from mindscope.errors import DataError
from mindscope.jobs.circuit.inputs import (
    GRAPH,
    PruningSpec,
    ReplacementSpec,
    find_replacement,
    find_row,
    find_targets,
    parse_feature,
)
from mindscope.jobs.circuit.page import write_page
from mindscope.jobs.circuit.results import TraceReport, graph_facts, graph_summary
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.specs import Float32ModelSpec

TOP = 20
"""Nodes that are listed: as many as are usually read."""


class TraceSpec(Float32ModelSpec, PruningSpec, ReplacementSpec, TraceConfig):
    """What `trace` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "prompt")
    hidden: ClassVar[tuple[str, ...]] = ("memory",)

    prompt: str
    """What the model reads."""
    chat: bool = False
    """The prompt is a user's turn of a chat."""
    system: str = ""
    """The system prompt of the chat; it needs --chat."""
    answer: str = ""
    """How the answer begins; what follows it is explained."""
    target: tuple[str, ...] = ()
    """Explain this next token, as text; the most probable ones by default. May be repeated."""
    instead_of: str | None = None
    """Explain by how much the logit of the --target exceeds that of this token."""
    direction: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "VECTORS[@LAYER]"})
    """Explain the projection on a persona vector. May be repeated."""
    feature: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "LAYER_LATENT_POSITION"})
    """Explain why a feature is active. May be repeated."""
    most: int = Field(default=10, ge=1)
    """The most next tokens that are explained if none is named."""
    probability: float = Field(default=0.95, gt=0, le=1)
    """The probability that the explained next tokens reach together if none is named."""

    @field_validator("feature")
    @classmethod
    def _require_feature_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            parse_feature(name)
        return names

    @model_validator(mode="after")
    def _require_what_belongs_together(self) -> TraceSpec:
        if self.system and not self.chat:
            raise DataError("a system prompt needs --chat")
        if self.instead_of is not None and len(self.target) != 1:
            raise DataError("--instead-of needs one --target, the token that it is compared with")
        return self

    def run_path(self) -> Path:
        """`runs/circuit`."""
        return Path("runs/circuit")


def trace(spec: TraceSpec, *, run: RunFolder, reporter: Reporter) -> TraceReport:
    """Trace which features and tokens led to the next token, and write the graph and its page."""
    from mindscope.circuits import AttributionGraph, prune_graph
    from mindscope.circuits import trace as trace_graph

    model = spec.load().with_template(clock=run.started)
    replacement, name = find_replacement(spec.dictionary, model)
    targets = find_targets(
        model, spec.target, spec.instead_of, spec.direction, spec.feature, spec.most, spec.probability
    )
    row = find_row(model, spec.prompt, spec.chat, spec.system, spec.answer)
    config = spec.config(TraceConfig)
    settings = {
        "dictionary": replacement.digest(),
        "prompt": row if isinstance(row, str) else list(row.ids),
        "targets": dict(targets.description),
        "nodes": spec.nodes,
        "edges": spec.edges,
    } | config.model_dump(exclude={"memory"})
    with run.open(kind="circuit", config=settings, reporter=reporter, model=model) as opened:
        if not opened.has(GRAPH):  # an earlier start may have traced it
            graph = trace_graph(model, replacement, row, config, targets=targets, progress=reporter.progress)
            metadata = {**graph.metadata, "prompt": model.tokenizer.decode(list(graph.ids))}
            metadata["borrowed"] = [artifact.model_dump(mode="json") for artifact in model.borrowed]
            replace(graph, replacement_name=name, metadata=metadata).save(run.path / GRAPH)
        graph = AttributionGraph.load(run.path / GRAPH, model)
        pruned = prune_graph(graph, spec.nodes, spec.edges)
        page = write_page(run.path, graph, pruned, model, replacement)
        opened.finish(**graph_facts(graph, pruned))
    return TraceReport(
        **graph_summary(graph, pruned, {}, TOP),
        run=str(run.path),
        graph=str(run.path / GRAPH),
        report=str(page),
    )

"""Tracing: which features and tokens led to the next token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from mindscope.circuits import ROWS_IN_MEMORY, TraceConfig
from mindscope.core import format_duration
from mindscope.errors import DataError
from mindscope.features import SteerExpression
from mindscope.jobs.circuit.inputs import (
    GRAPH,
    PRUNED_EDGES,
    PRUNED_NODES,
    PruningSpec,
    ReplacementSpec,
    find_replacement,
    find_row,
    find_targets,
    parse_feature,
    read_turns,
)
from mindscope.jobs.circuit.page import write_page
from mindscope.jobs.circuit.results import TraceReport, graph_facts, graph_summary
from mindscope.jobs.inputs import InputKind
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.planning import show_bytes
from mindscope.jobs.specs import Float32ModelSpec

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph, ReplacementModel, TraceForecast
    from mindscope.models import Edit, Model

EDGE_COPIES = 4
"""Copies of a graph's edges at the peak: the graph, the kept part, its scores, and what is summed of them."""
TOP = 20
"""Nodes that are listed: as many as are usually read."""


class TraceSpec(Float32ModelSpec, PruningSpec, ReplacementSpec, TraceConfig):
    """What `trace` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "prompt")
    hidden: ClassVar[tuple[str, ...]] = ("memory",)
    inputs: ClassVar[Mapping[str, InputKind]] = {"turns": "file"}

    prompt: str
    """What the model reads."""
    chat: bool = False
    """The prompt is a user's turn of a chat."""
    system: str = ""
    """The system prompt of the chat; it needs --chat."""
    turns: Path | None = None
    """A JSON file with the turns of the chat before the prompt, each as {"role": "user", "content": "..."};
    it needs --chat."""
    answer: str = ""
    """How the answer begins; what follows it is explained."""
    steer: str | None = Field(default=None, json_schema_extra={"metavar": "EXPRESSION"})
    """Explain the answer as it is under steering, such as '1.5 runs/evil@2': vectors by their run or file,
    and latents such as sae.3/1423. What the steering adds is held as it was, and counts as bias."""
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
        if (self.system or self.turns is not None) and not self.chat:
            raise DataError("a system prompt needs --chat, and so do earlier turns")
        if self.steer is not None:
            SteerExpression.parse(self.steer)
        if self.instead_of is not None and len(self.target) != 1:
            raise DataError("--instead-of needs one --target, the token that it is compared with")
        return self

    def run_path(self) -> Path:
        """`runs/circuit`."""
        return Path("runs/circuit")


def describe_forecast(forecast: TraceForecast) -> str:
    """What a graph will take, in a line."""
    import psutil

    memory = psutil.Process().memory_info().rss + min(forecast.row_bytes, ROWS_IN_MEMORY)
    on_disk = max(0, forecast.row_bytes - ROWS_IN_MEMORY)
    memory += EDGE_COPIES * forecast.graph_bytes
    return (
        f"this will be about {forecast.rows:,} rows, {format_duration(forecast.seconds)}, "
        f"{show_bytes(memory)} of memory and {show_bytes(on_disk)} of rows on disk while it is traced; the "
        f"graph has {show_bytes(forecast.graph_bytes)}"
    )


def trace(spec: TraceSpec, *, run: RunFolder, reporter: Reporter) -> TraceReport:
    """Trace which features and tokens led to the next token, and write the graph and its page."""
    from mindscope.circuits import trace as trace_graph

    turns = read_turns(spec.turns)
    model = spec.load().with_template(clock=run.started)
    replacement, name = find_replacement(spec.dictionary, model)
    targets = find_targets(
        model, spec.target, spec.instead_of, spec.direction, spec.feature, spec.most, spec.probability
    )
    row = find_row(model, spec.prompt, spec.chat, spec.system, spec.answer, turns)
    edits = _find_edits(model, spec.steer)
    config = spec.config(TraceConfig)
    settings = {
        "dictionary": replacement.digest(),
        "prompt": row if isinstance(row, str) else list(row.ids),
        "targets": dict(targets.description),
        "nodes": spec.nodes,
        "edges": spec.edges,
        **({"steer": spec.steer} if spec.steer else {}),
    } | config.model_dump(exclude={"memory"})
    with run.open(kind="circuit", config=settings, reporter=reporter, model=model) as opened:
        if not opened.has(GRAPH):  # an earlier start may have traced it
            graph = trace_graph(
                model,
                replacement,
                row,
                config,
                targets=targets,
                edits=edits,
                progress=reporter.progress,
                folder=run.path,
                on_forecast=lambda forecast: reporter.say(describe_forecast(forecast)),
            )
            keep_graph(run.path, graph, model, name)
        shown = show_graph(run.path, model, replacement, reporter, spec.nodes, spec.edges)
        opened.finish(**shown.facts)
    return TraceReport(
        **shown.summary, run=str(run.path), graph=str(run.path / GRAPH), report=str(shown.page)
    )


@dataclass(frozen=True)
class ShownGraph:
    """What is said of a graph, and where its page is."""

    facts: dict[str, Any]
    summary: dict[str, Any]
    page: Path


def keep_graph(folder: Path, graph: AttributionGraph, model: Model, replacement_name: str) -> None:
    """Write a graph that was just traced, with the prompt and whose it is."""
    metadata = {**graph.metadata, "prompt": model.tokenizer.decode(list(graph.ids))}
    metadata["identity"] = model.identity.model_dump(mode="json", exclude_none=True)
    metadata["borrowed"] = [artifact.model_dump(mode="json") for artifact in model.borrowed]
    replace(graph, replacement_name=replacement_name, metadata=metadata).save(folder / GRAPH)


def show_graph(
    folder: Path,
    model: Model,
    replacement: ReplacementModel,
    reporter: Reporter,
    nodes: float = PRUNED_NODES,
    edges: float = PRUNED_EDGES,
) -> ShownGraph:
    """Prune the graph of a folder, write its page, and say how good it is and which nodes matter most."""
    from mindscope.circuits import AttributionGraph, prune_graph

    graph = AttributionGraph.load(folder / GRAPH, model)
    pruned = prune_graph(graph, nodes, edges)
    page = write_page(folder, graph, pruned, model, replacement, reporter)
    return ShownGraph(graph_facts(graph, pruned), graph_summary(graph, pruned, {}, TOP), page)


def _find_edits(model: Model, steer: str | None) -> tuple[Edit, ...]:
    """What a steering expression writes, from the token on that predicts the answer."""
    from mindscope.jobs.steering import SteeringNames

    return () if steer is None else SteeringNames(model).edits(SteerExpression.parse(steer))

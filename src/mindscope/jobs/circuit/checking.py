"""Checking a graph by intervention: what it predicts of changes, against what the model does."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from mindscope.circuits import GraphValidation, ValidationConfig
from mindscope.errors import DataError
from mindscope.jobs.circuit.inputs import (
    GraphDirectionsSpec,
    GraphSpec,
    ReplacementSpec,
    find_graph_directions,
    graph_file,
    open_graph,
    replacement_of,
)
from mindscope.jobs.circuit.page import write_page
from mindscope.jobs.job import Reporter
from mindscope.jobs.specs import Float32ModelSpec


class ValidateGraphSpec(Float32ModelSpec, ReplacementSpec, GraphDirectionsSpec, ValidationConfig, GraphSpec):
    """What `validate` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "graph")

    top: int = Field(default=20, ge=1)
    """How many of the most influential features to change, each on its own."""
    node: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "NAME"})
    """Change this feature instead, by its name. May be repeated."""
    groups: bool = False
    """Change automatic supernodes instead, each as a whole."""

    @model_validator(mode="after")
    def _require_a_whole_graph(self) -> ValidateGraphSpec:
        if self.graph.suffix == ".json":
            raise DataError(
                f"{self.graph} has lost what was pruned: give the run, or the graph.safetensors, it is of"
            )
        return self


def validate(spec: ValidateGraphSpec, *, reporter: Reporter) -> GraphValidation:
    """Check a graph by intervention: what it predicts of changes, against what the model does."""
    from mindscope.circuits import find_supernodes, validate_graph, with_validation

    opened = open_graph(spec.graph)
    model = spec.load()
    replacement = replacement_of(opened.graph, spec.dictionary, model)
    groups = find_supernodes(opened.graph, opened.pruned) if spec.groups else spec.top
    validation = validate_graph(
        model,
        replacement,
        opened.graph,
        spec.config(ValidationConfig),
        nodes=spec.node or groups,
        targets=find_graph_directions(model, spec.direction),
        progress=reporter.progress,
    )
    checked = with_validation(opened.graph, validation)
    checked.save(graph_file(spec.graph))
    if spec.graph.is_dir():
        write_page(spec.graph, checked, opened.pruned, model, replacement, reporter)
    return validation

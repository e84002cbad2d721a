"""Exporting a graph: as a page that works offline, or as public JSON."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import model_validator

from mindscope.errors import DataError
from mindscope.jobs.circuit.inputs import GraphSpec, PruningSpec, ReplacementSpec, open_graph, replacement_of
from mindscope.jobs.circuit.known_features import KnownFeatures, gather_known_features
from mindscope.jobs.circuit.results import ExportReport
from mindscope.jobs.job import Reporter
from mindscope.jobs.resolve import load_model
from mindscope.models import LoadOptions, WholeModelOptions


class ExportGraphSpec(PruningSpec, ReplacementSpec, GraphSpec, WholeModelOptions):
    """What `export` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("graph", "to")

    to: Path
    """An .html page, which works offline, or a folder for the public JSON."""
    model: str | None = None
    """The model, to say which tokens each feature raises and lowers; without it they are not said."""
    survey: Path | None = None
    """A run of `feature survey` of the dictionary, for contexts and labels; it needs --model."""
    groups: bool = False
    """Group features automatically."""
    slug: str = "graph"
    """The name of the public graph."""
    scan: str | None = None
    """The public name of model and dictionary; the graph's own by default."""
    title: str = ""
    """The title at the head of the page; the prompt by default."""

    @model_validator(mode="after")
    def _require_a_model(self) -> ExportGraphSpec:
        if self.survey is not None and self.model is None:
            raise DataError("--survey needs --model")
        return self


def export(spec: ExportGraphSpec, *, reporter: Reporter) -> ExportReport:
    """Write a graph as one page, or as the JSON that Neuronpedia and the public page open."""
    from mindscope.circuits import build_graph_page, find_supernodes, write_graph_json

    del reporter  # there is nothing to wait for
    opened = open_graph(spec.graph, spec.nodes, spec.edges)
    known = KnownFeatures()
    if spec.model is not None:
        model = load_model(spec.model, spec.config(LoadOptions, dtype="float32"))
        replacement = replacement_of(opened.graph, spec.dictionary, model)
        known = gather_known_features(opened, model, replacement, spec.survey)
    labels = {**known.labels, **opened.view.labels}
    supernodes = opened.view.supernodes
    if spec.groups:
        supernodes = find_supernodes(opened.graph, opened.pruned, labels=labels, effects=known.effects)
    if spec.to.suffix == ".html":
        page = build_graph_page(
            opened.graph, opened.pruned, supernodes, labels, known.details, title=spec.title
        )
        written = page.write(spec.to)
    else:
        written = write_graph_json(
            spec.to,
            opened.graph,
            opened.pruned,
            slug=spec.slug,
            scan=spec.scan,
            view=opened.view.model_copy(update={"supernodes": supernodes, "labels": labels}),
            details=known.details,
        )
    return ExportReport(written=str(written), supernodes=len(supernodes), labels=len(labels))

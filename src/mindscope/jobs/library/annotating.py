"""Annotating: names, groups, a verdict and notes are added to a case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from mindscope.errors import DataError
from mindscope.jobs.circuit import open_graph
from mindscope.jobs.inputs import InputKind
from mindscope.jobs.job import Reporter
from mindscope.jobs.library.opening import CaseSpec
from mindscope.jobs.library.packing import VerdictSpec, read_records, require_new_case
from mindscope.jobs.library.results import (
    GRAPH,
    INTERVENTIONS,
    VIEW,
    CaseSummary,
    list_interventions,
    list_view,
    read_interventions,
    read_view,
    require_records_of,
    require_view_of,
    summarise,
)
from mindscope.library import ENDING, open_case, write_case

if TYPE_CHECKING:
    from mindscope.circuits import GraphView
    from mindscope.library import OpenedCase


class AnnotateCaseSpec(VerdictSpec, CaseSpec):
    """What `annotate` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("case",)
    inputs: ClassVar[Mapping[str, InputKind]] = {"intervention": "file"}

    label: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "NODE=TEXT"})
    """Name a node of the graph; without TEXT its name is taken off. May be repeated."""
    supernode: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "LABEL=NODE,NODE"})
    """Group nodes of the graph; without nodes the group is taken off. May be repeated."""
    pin: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "NODE"})
    """Put a node into the page's panel. May be repeated."""
    to: Path | None = None
    """The .case file to write; by default the case itself is replaced."""

    @field_validator("label", "supernode")
    @classmethod
    def _require_a_sign(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            if "=" not in text or text.startswith("="):
                raise DataError(f"{text!r} says nothing: write NODE=TEXT, or LABEL=NODE,NODE")
        return texts

    @property
    def of_graph(self) -> bool:
        """Whether anything is said of a graph."""
        return bool(self.label or self.supernode or self.pin or self.intervention)


def annotate_case(spec: AnnotateCaseSpec, *, reporter: Reporter) -> CaseSummary:
    """Add names, groups, interventions, a verdict and notes to a case."""
    del reporter  # there is nothing to wait for
    target = spec.to or spec.case
    if target != spec.case:
        require_new_case(target)
    elif target.suffix != ENDING:
        raise DataError(f"{target} must end in {ENDING}")
    spec.require_inputs()
    case = open_case(spec.case)
    manifest = case.manifest
    if spec.of_graph and manifest.kind != "circuit":
        raise DataError(f"{spec.case} is of kind {manifest.kind} and has no graph to name nodes of")
    with TemporaryDirectory() as scratch:
        case.extract(Path(scratch))
        files: dict[str, Path | bytes] = {
            member.name: Path(scratch, *member.name.split("/")) for member in manifest.members
        }
        if spec.of_graph:
            files = _annotate_graph(spec, case, files)
        verdict = spec.conclude()
        write_case(
            target,
            manifest.model_copy(
                update={
                    "title": manifest.title if spec.title is None else spec.title,
                    "verdict": manifest.verdict if verdict is None else verdict,
                    "notes": (*manifest.notes, *spec.note),
                }
            ),
            files,
        )
    return summarise(open_case(target))


def _annotate_graph(
    spec: AnnotateCaseSpec, case: OpenedCase, files: Mapping[str, Path | bytes]
) -> dict[str, Path | bytes]:
    file = files.get(GRAPH)
    if not isinstance(file, Path):
        raise DataError(f"{spec.case} holds no {GRAPH}: pack the graph again")
    graph = open_graph(file).graph
    view = _changed(read_view(case), spec)
    records = (*read_interventions(case), *read_records(spec.intervention))
    require_view_of(graph, view)
    require_records_of(graph, records)
    others = {
        name: content
        for name, content in files.items()
        if name != VIEW and not name.startswith(f"{INTERVENTIONS}/")
    }
    return {**others, **list_view(view), **list_interventions(records)}


def _changed(view: GraphView, spec: AnnotateCaseSpec) -> GraphView:
    from mindscope.circuits import Supernode

    labels = {**view.labels, **_split(spec.label)}
    groups = {group.label: group for group in view.supernodes}
    for label, members in _split(spec.supernode).items():
        names = tuple(name.strip() for name in members.split(",") if name.strip())
        groups[label] = Supernode(label=label, members=names)
    return view.model_copy(
        update={
            "labels": {name: text for name, text in labels.items() if text},
            "supernodes": tuple(group for group in groups.values() if group.members),
            "pinned": tuple(dict.fromkeys((*view.pinned, *spec.pin))),
        }
    )


def _split(texts: Iterable[str]) -> dict[str, str]:
    """Names and values of `NAME=VALUE`; only the first sign of equality separates."""
    return {text.partition("=")[0]: text.partition("=")[2] for text in texts}

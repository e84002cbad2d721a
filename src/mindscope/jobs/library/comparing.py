"""Comparing two cases: what they say, and what they hold."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

from pydantic import Field

from mindscope.errors import DataError
from mindscope.jobs.circuit import CompareGraphsSpec, GraphComparisonReport
from mindscope.jobs.circuit import compare as compare_graphs
from mindscope.jobs.job import JobSpec, Reporter
from mindscope.jobs.library.results import GRAPH, STEERING, read_interventions, read_view
from mindscope.library import CaseKind, OpenedCase, open_case
from mindscope.store import Document


class CompareCasesSpec(JobSpec):
    """What `compare` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("first", "second")

    first: Path
    """A .case file."""
    second: Path
    """Another one of the same kind."""
    align: Literal["tokens", "end"] = "tokens"
    """Which tokens of two graphs stand for each other: like ones (tokens), or those as far from the end."""
    top: int = Field(default=20, ge=1)
    """The most rows that a table has."""


class DifferingField(Document):
    """Something that two cases say otherwise; None where one does not say it."""

    field: str
    first: str | None
    second: str | None


class DirectionCosine(Document):
    """Two steering files at one place: the cosine of their vectors, and the numbers they are used with."""

    address: str
    operation: str
    cosine: float
    values: tuple[float, float]


class CaseComparison(Document):
    """What two cases have in common and what not.

    Attributes:
        same_members: files of both that have one digest.
        graphs: of two graphs of one model and dictionary; None for other kinds, and where `not_compared` says
            why not.
        directions: of two steering files, where both edit at one place with one operation.
    """

    kind: CaseKind
    fields: tuple[DifferingField, ...]
    same_members: tuple[str, ...]
    other_members: tuple[str, ...]
    graphs: GraphComparisonReport | None = None
    directions: tuple[DirectionCosine, ...] = ()
    not_compared: str | None = None


def compare_cases(spec: CompareCasesSpec, *, reporter: Reporter) -> CaseComparison:
    """Compare two cases: their verdicts, names and provenance, their graphs, or the directions they steer."""
    first, second = (open_case(path) for path in (spec.first, spec.second))
    kind = first.manifest.kind
    if kind != second.manifest.kind:
        raise DataError(
            f"{spec.first} is a {kind}, {spec.second} a {second.manifest.kind}: compare like cases"
        )
    digests = [{member.name: member.sha256 for member in case.manifest.members} for case in (first, second)]
    same = {name for name, digest in digests[0].items() if digests[1].get(name) == digest}
    graphs, directions, refusal = None, (), None
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(TemporaryDirectory())) for _ in range(2)]
        for case, folder in zip((first, second), folders, strict=True):
            case.extract(folder)
        if kind == "steering":
            directions = _compare_directions(*(folder / STEERING for folder in folders))
        elif kind == "circuit":
            task = CompareGraphsSpec(
                first=folders[0] / GRAPH, second=folders[1] / GRAPH, align=spec.align, top=spec.top
            )
            try:
                graphs = compare_graphs(task, reporter=reporter)
            except DataError as error:  # of another model or dictionary: the rest can be compared
                refusal = str(error)
    said = [_say(case) for case in (first, second)]
    return CaseComparison(
        kind=kind,
        fields=tuple(
            DifferingField(field=name, first=said[0].get(name), second=said[1].get(name))
            for name in dict.fromkeys([*said[0], *said[1]])
            if said[0].get(name) != said[1].get(name)
        ),
        same_members=tuple(sorted(same)),
        other_members=tuple(sorted({*digests[0], *digests[1]} - same)),
        graphs=graphs,
        directions=directions,
        not_compared=refusal,
    )


def _say(case: OpenedCase) -> dict[str, str]:
    """All that a case says, each leaf under its dotted name."""
    manifest, view = case.manifest, read_view(case)
    said = {
        "title": manifest.title,
        "models": {name: model.short for name, model in manifest.models.items()},
        "verdict": None if manifest.verdict is None else manifest.verdict.to_json(),
        "notes": list(manifest.notes),
        "label": view.labels,
        "supernode": {group.label: " ".join(group.members) for group in view.supernodes},
        "interventions": len(read_interventions(case)),
        "provenance": manifest.provenance,
    }
    return dict(_leaves(said))


def _leaves(value: Any, place: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in _leaves(item, f"{place}.{key}".lstrip("."))]
    return [] if value is None else [(place, str(value))]


def _compare_directions(first: Path, second: Path) -> tuple[DirectionCosine, ...]:
    import torch

    from mindscope.features import SteeringFile

    ours, theirs = SteeringFile.load(first), SteeringFile.load(second)
    rows = []
    for edit in ours.edits:
        for other in theirs.edits:
            same_place = (edit.address, edit.op) == (other.address, other.op)
            if same_place and len(edit.vector) == len(other.vector):
                cosine = torch.cosine_similarity(edit.vector.double(), other.vector.double(), dim=0)
                rows.append(
                    DirectionCosine(
                        address=edit.address,
                        operation=edit.op,
                        cosine=float(cosine),
                        values=(float(edit.value), float(other.value)),
                    )
                )
    return tuple(rows)

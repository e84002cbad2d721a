"""What the jobs of the library hand back of a case, and how a case's documents are read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mindscope.errors import DataError, StoreError
from mindscope.jobs.circuit import InterventionRecord, SupernodeRow
from mindscope.library import SELF_TEST, CaseKind, OpenedCase, ReaderVerdict
from mindscope.store import Document, plain

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph, GraphView
    from mindscope.models import Edit, Model

GRAPH, STEERING, DICTIONARY = "graph.safetensors", "steering.safetensors", "dictionary.safetensors"
"""What a case is about, by its kind."""
FOLDER = "dictionary"
"""A dictionary of several coders is a folder."""
VIEW, DETAILS = "view.json", "details.json"
INTERVENTIONS = "interventions"
TOLERANCE = 1e-3
"""A share of the size, or a probability. Two machines in float32 differ by less than a tenth of it."""


class PackReport(Document):
    """The case that was written."""

    case: str
    kind: CaseKind
    bytes: int
    members: tuple[str, ...]


class UnpackReport(Document):
    """Where a case lies now; `page` is a graph's."""

    folder: str
    page: str | None
    members: tuple[str, ...]


class SteeredPlace(Document):
    """An edit of a steering file: what is done with its vector, where, and at which tokens."""

    operation: str
    address: str
    value: float
    where: str

    @classmethod
    def of_edit(cls, edit: Edit) -> SteeredPlace:
        """Of one whose tokens have a name, as those of a steering file have."""
        return cls(operation=edit.op, address=edit.address, value=float(edit.value), where=str(edit.where))


class CaseSummary(Document):
    """What is in a case.

    Attributes:
        models: whose it is.
        edits: what a steering file does, where the case says it.
        self_test: whether it holds what a dictionary's or steering's reproduction is held against.
    """

    case: str
    kind: CaseKind
    title: str
    models: tuple[str, ...]
    verdict: ReaderVerdict | None
    notes: tuple[str, ...]
    labels: dict[str, str]
    supernodes: tuple[SupernodeRow, ...]
    interventions: tuple[InterventionRecord, ...]
    edits: tuple[SteeredPlace, ...] = ()
    self_test: bool
    provenance: dict[str, Any]
    bytes: int
    members: tuple[str, ...]


class ReproducedPart(Document):
    """One thing that was measured again.

    Attributes:
        same: whether it came out as the case has it; None where it could not be measured.
        difference: the largest one, in the unit of `tolerance`.
    """

    part: str
    same: bool | None
    difference: float | None = None
    tolerance: float | None = None
    finding: str

    @classmethod
    def not_measured(cls, part: str, reason: str) -> ReproducedPart:
        """A part that could not be measured."""
        return cls(part=part, same=None, finding=f"not measured: {reason}")

    @classmethod
    def of_model(cls, fingerprint: str, model: Model) -> ReproducedPart:
        """Whether a model has the weights that a case was made with."""
        same = fingerprint == model.fingerprint
        told = "the same weights" if same else f"made with {fingerprint[:12] or 'an unknown one'}"
        return cls(part="model", same=same, finding=f"{model.identity.short}: {told}")

    @classmethod
    def of_difference(
        cls, part: str, difference: float, finding: str, *, otherwise_same: bool = True
    ) -> ReproducedPart:
        """A part whose numbers may differ by `TOLERANCE`; `otherwise_same` says whether all else agrees."""
        return cls(
            part=part,
            same=otherwise_same and difference <= TOLERANCE,
            difference=difference,
            tolerance=TOLERANCE,
            finding=finding,
        )


class CaseReproduction(Document):
    """What became of a case when it was measured again."""

    case: str
    model: str
    parts: tuple[ReproducedPart, ...]

    @property
    def agrees(self) -> bool:
        """Whether something was measured and nothing came out otherwise."""
        measured = [part.same for part in self.parts if part.same is not None]
        return bool(measured) and all(measured)


def read_view(case: OpenedCase) -> GraphView:
    """Labels, supernodes and pinned nodes; an empty view where there are none."""
    from mindscope.circuits import GraphView

    document = case.read_json(VIEW)
    try:
        return GraphView() if document is None else GraphView.model_validate(document)
    except (ValidationError, RecursionError):
        raise StoreError(f"{case.path}: {VIEW} is not a view of a graph: copy the case again") from None


def read_interventions(case: OpenedCase) -> tuple[InterventionRecord, ...]:
    """All interventions, in the order in which they were packed."""
    records = []
    for member in case.manifest.members:
        if member.name.startswith(f"{INTERVENTIONS}/"):
            document = case.read_json(member.name)
            if isinstance(document, dict):
                document.pop("schema", None)
            try:
                records.append(InterventionRecord.model_validate(document))
            except (ValidationError, RecursionError):
                raise StoreError(
                    f"{case.path}: {member.name} is no intervention: copy the case again"
                ) from None
    return tuple(records)


def list_interventions(records: Sequence[InterventionRecord]) -> dict[str, bytes]:
    """Interventions as members of a case."""
    return {
        f"{INTERVENTIONS}/{number:03}.json": encode({"schema": record.SCHEMA, **record.to_json()})
        for number, record in enumerate(records)
    }


def list_view(view: GraphView) -> dict[str, bytes]:
    """A view as a member of a case; nothing where nobody made anything of the graph."""
    from mindscope.circuits import GraphView

    return {} if view == GraphView() else {VIEW: encode(view.to_json())}


def encode(document: object) -> bytes:
    """A JSON document as it lies in a case: the same bytes for the same values."""
    text = json.dumps(plain(document), ensure_ascii=False, sort_keys=True)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def require_view_of(graph: AttributionGraph, view: GraphView) -> None:
    """Raises DataError where a view names nodes that the graph has not."""
    named = [*view.labels, *view.pinned, *(name for group in view.supernodes for name in group.members)]
    for name in named:
        graph.find(name)


def require_records_of(graph: AttributionGraph, records: Sequence[InterventionRecord]) -> None:
    """Raises DataError where an intervention was made on another graph's prompt, model or dictionary."""
    for record in records:
        if not record.is_of(graph):
            raise DataError(
                "an intervention was made with another prompt, model or dictionary than the graph: "
                "make it again with `mindscope circuit intervene --save`"
            )


def _read_edits(provenance: Mapping[str, Any]) -> tuple[SteeredPlace, ...]:
    """What a case says of its steering; nothing of what somebody else wrote there in another form."""
    try:
        return tuple(SteeredPlace.model_validate(edit) for edit in provenance.get("edits", ()))
    except (ValidationError, TypeError):
        return ()


def summarise(case: OpenedCase) -> CaseSummary:
    """What `library show` says of a case."""
    manifest = case.manifest
    view, names = read_view(case), tuple(member.name for member in manifest.members)
    return CaseSummary(
        case=str(case.path),
        kind=manifest.kind,
        title=manifest.title,
        models=tuple(model.short for model in manifest.models.values()),
        verdict=manifest.verdict,
        notes=manifest.notes,
        labels=view.labels,
        supernodes=tuple(
            SupernodeRow(label=group.label, score=group.score, members=group.members)
            for group in view.supernodes
        ),
        interventions=read_interventions(case),
        edits=_read_edits(manifest.provenance),
        self_test=manifest.kind == "steering" or SELF_TEST in names,
        provenance=manifest.provenance,
        bytes=case.path.stat().st_size,
        members=names,
    )

"""Looking into a case, and opening one: its files in a folder, with the graph's page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mindscope.errors import DataError, StoreError
from mindscope.jobs.circuit import open_graph
from mindscope.jobs.job import JobSpec, Reporter
from mindscope.jobs.library.results import (
    DETAILS,
    GRAPH,
    CaseSummary,
    UnpackReport,
    read_interventions,
    read_view,
    require_view_of,
    summarise,
)
from mindscope.library import OpenedCase, open_case
from mindscope.store import replacing_folder, write_json

if TYPE_CHECKING:
    from mindscope.circuits import GraphView

PAGE = "report.html"


class CaseSpec(JobSpec):
    """A case."""

    case: Path
    """A .case file."""


class ShowCaseSpec(CaseSpec):
    """What `show` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("case",)


class OpenCaseSpec(CaseSpec):
    """What `open` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("case", "to")

    to: Path
    """The new folder to write."""


def show_case(spec: ShowCaseSpec, *, reporter: Reporter) -> CaseSummary:
    """Show what is in a case, once all of it has been compared with its digests."""
    del reporter  # there is nothing to wait for
    return summarise(open_case(spec.case))


def unpack_case(spec: OpenCaseSpec, *, reporter: Reporter) -> UnpackReport:
    """Write the files of a case into a new folder, with the offline page of its graph."""
    del reporter  # there is nothing to wait for
    if spec.to.exists():
        raise DataError(f"{spec.to} is there already: name a new folder")
    case = open_case(spec.case)
    view = read_view(case)
    read_interventions(case)  # refused here, and not by whoever reads the folder
    with replacing_folder(spec.to) as folder:
        case.extract(folder)
        write_json(folder / "case.json", case.manifest.to_json())
        has_page = case.manifest.kind == "circuit"
        if has_page:
            _write_page(case, view, folder)
    return UnpackReport(
        folder=str(spec.to),
        page=str(spec.to / PAGE) if has_page else None,
        members=tuple(member.name for member in case.manifest.members),
    )


def _write_page(case: OpenedCase, view: GraphView, folder: Path) -> None:
    from mindscope.circuits import build_graph_page

    opened = open_graph(folder / GRAPH)
    require_view_of(opened.graph, view)
    page = build_graph_page(
        opened.graph,
        opened.pruned,
        view.supernodes,
        view.labels,
        _read_details(case),
        title=case.manifest.title,
    )
    page.write(folder / PAGE)


def _read_details(case: OpenedCase) -> dict[tuple[int, int], Mapping[str, Any]]:
    """What is known of features, by (layer, latent)."""
    details = case.read_json(DETAILS) or {}
    try:
        places = {tuple(map(int, name.split("_"))): value for name, value in details.items()}
    except (AttributeError, ValueError):
        places = {(): None}
    known: dict[tuple[int, int], Mapping[str, Any]] = {}
    for place, value in places.items():
        if len(place) != 2 or not isinstance(value, Mapping):
            raise StoreError(f"{case.path}: {DETAILS} does not tell of features: copy the case again")
        known[place[0], place[1]] = value
    return known

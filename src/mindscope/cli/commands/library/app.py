"""`mindscope library`: findings as files that can be handed on and measured again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mindscope.cli.commands.circuit.tables import print_comparison
from mindscope.cli.from_spec import add_command
from mindscope.cli.terminal.output import name_count, print_records, print_text, say
from mindscope.jobs import library

if TYPE_CHECKING:
    from mindscope.jobs.library import (
        CaseComparison,
        CaseReproduction,
        CaseSummary,
        FetchReport,
        LibraryListing,
        PackReport,
        UnpackReport,
    )

MARKS = {True: "ok  ", False: "DIFF", None: "?   "}


def print_packed(report: PackReport) -> None:
    """The file, and what is in it."""
    print_text(f"{report.case}: {report.kind}, {report.bytes:,} bytes, {', '.join(report.members)}")


def print_case(case: CaseSummary) -> None:
    """What a case says, part by part."""
    print_text(f"{case.title} ({case.kind}, {case.bytes:,} bytes)")
    for model in case.models:
        print_text(f"made with: {model}")
    if case.verdict is not None:
        print_text(f"verdict: {case.verdict.judgement}. {case.verdict.reason}".rstrip(". ") + ".")
    for edit in case.edits:
        print_text(f"steers: {edit.operation} {edit.value:g} at {edit.address}, tokens: {edit.where}")
    for note in case.notes:
        print_text(f"note: {note}")
    print_records([{"node": node, "label": text} for node, text in case.labels.items()], "labels")
    print_records(
        [{"supernode": group.label, "members": " ".join(group.members)} for group in case.supernodes],
        "supernodes",
    )
    for number, record in enumerate(case.interventions):
        rows = [token.to_json() for token in record.report.tokens[:5]]
        print_records(
            rows,
            f"intervention {number + 1}: {name_count(record.report.changes, 'change')}, {record.report.mode}",
        )
    if case.kind == "dictionary" and not case.self_test:
        print_text("no test: it was packed without --model")


def print_unpacked(report: UnpackReport) -> None:
    """Where the files are, and the page."""
    print_text(report.folder)
    if report.page is not None:
        print_text(f"page: {report.page}")


def print_differences(comparison: CaseComparison) -> None:
    """What two cases say otherwise, and how their graphs or directions compare."""
    print_records([field.to_json() for field in comparison.fields], "said otherwise")
    print_text(f"the same files: {', '.join(comparison.same_members) or 'none'}")
    print_text(f"other files: {', '.join(comparison.other_members) or 'none'}")
    print_records(
        [
            {**row.to_json(), "values": " ".join(f"{v:g}" for v in row.values)}
            for row in comparison.directions
        ],
        "directions",
    )
    if comparison.graphs is not None:
        print_comparison(comparison.graphs)
    if comparison.not_compared is not None:
        say(f"the graphs were not compared: {comparison.not_compared}")


def print_reproduction(report: CaseReproduction) -> None:
    """A line for every part."""
    for part in report.parts:
        print_text(f"{MARKS[part.same]} {part.part:<16} {part.finding}")


def require_agreement(report: CaseReproduction) -> None:
    """Exit code 1 where something came out otherwise, or nothing could be measured."""
    if not report.agrees:
        differing = ", ".join(part.part for part in report.parts if part.same is False)
        say(f"{report.case} does not come out again on {report.model}: {differing or 'nothing was measured'}")
        raise typer.Exit(1)


def print_library(listing: LibraryListing) -> None:
    """A row for every case."""
    rows = [
        {
            "case": entry.file,
            "kind": entry.kind,
            "title": entry.title,
            "made with": ", ".join(entry.models),
            "verdict": None if entry.verdict is None else entry.verdict.judgement,
            "bytes": entry.bytes,
        }
        for entry in listing.cases
    ]
    print_records(rows, listing.library)
    if not rows:
        print_text(f"{listing.library} holds no cases")


def print_fetched(report: FetchReport) -> None:
    """The file that was written."""
    print_text(report.file)


app = typer.Typer(
    no_args_is_help=True, help="Cases: findings as files that can be handed on and measured again."
)
add_command(app, "pack", library.pack_case, show=print_packed)
add_command(app, "show", library.show_case, show=print_case)
add_command(app, "open", library.unpack_case, show=print_unpacked)
add_command(app, "annotate", library.annotate_case, show=print_case)
add_command(app, "compare", library.compare_cases, show=print_differences)
add_command(app, "reproduce", library.reproduce_case, show=print_reproduction, require=require_agreement)
add_command(app, "index", library.index_library, show=print_library)
add_command(app, "list", library.list_library, show=print_library)
add_command(app, "fetch", library.fetch_case, show=print_fetched)

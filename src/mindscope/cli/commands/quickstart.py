"""What `mindscope quickstart` prints: what was chosen and why, how long it takes, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import print_table, print_text
from mindscope.core import format_duration

if TYPE_CHECKING:
    from mindscope.jobs.quickstart import QuickstartReport


def print_quickstart(report: QuickstartReport) -> None:
    """A row per choice, then the command with its time, or what came out."""
    rows = [[choice.what, choice.chosen, choice.why] for choice in report.choices]
    print_table(["", "chosen", "because"], rows, title=f"{report.model}, {report.parameters:,} parameters")
    if report.demo is not None:
        from mindscope.cli.commands.demo import print_demo

        print_demo(report.demo)
    elif report.seconds is not None:
        print_text(
            f"about {report.answers:,} answers and two trainings, about {format_duration(report.seconds)} "
            f"({report.measured}); --go runs it"
        )
    print_text("next: " + "\n      ".join(report.then))

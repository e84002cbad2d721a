"""`mindscope vectors`: steering as files that can be tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mindscope.cli.commands.persona.tables import print_file
from mindscope.cli.from_spec import add_command
from mindscope.cli.terminal.output import print_text, say
from mindscope.jobs import steering_files

if TYPE_CHECKING:
    from mindscope.features import SteeringFileReport

MARKS = {True: "ok  ", False: "FAIL", None: "?   "}


def print_checks(report: SteeringFileReport) -> None:
    """A line for every check."""
    for check in report.checks:
        print_text(f"{MARKS[check.passed]} {check.name:<12} {check.finding}")


def require_agreement(report: SteeringFileReport) -> None:
    """Exit code 1 where a check failed."""
    if not report.agrees:
        failed = ", ".join(check.name for check in report.checks if check.passed is False)
        say(f"{report.file} does not do to {report.model} what it says: {failed}")
        raise typer.Exit(1)


app = typer.Typer(no_args_is_help=True, help="Steering as files that say all about themselves.")
add_command(app, "write", steering_files.write_steering, show=print_file)
add_command(app, "check", steering_files.check_steering, show=print_checks, require=require_agreement)
add_command(app, "export", steering_files.export_steering, show=print_file)

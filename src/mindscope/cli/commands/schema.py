"""`mindscope schema`: what every command takes and hands back, for programs that call it."""

from __future__ import annotations

from typing import Annotated

import typer

from mindscope.cli.terminal.output import print_json
from mindscope.jobs import export_schemas, job_schemas


def schema(
    job: Annotated[
        list[str] | None,
        typer.Argument(metavar="[JOB]", help="A command, such as `persona extract`; all by default."),
    ] = None,
) -> None:
    """Print the JSON schemas of a command's specification and of its result."""
    print_json(job_schemas(" ".join(job)) if job else export_schemas())

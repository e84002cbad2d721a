"""`mindscope log`: what a server has kept of its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindscope.cli.commands.serve import require_extra
from mindscope.cli.terminal.output import Json, print_json, print_table
from mindscope.cli.terminal.session import current_session

app = typer.Typer(no_args_is_help=True, help="The log of a server's answers.")


@app.callback()
def _log() -> None:
    """The log of a server's answers."""


@app.command()
def export(
    database: Annotated[
        str, typer.Argument(metavar="DATABASE", help="A file of SQLite, an SQLAlchemy URL, or env:NAME.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the tables.")],
    json: Json = False,
) -> None:
    """Write conversations, turns, readings and events as Parquet files."""
    current_session().require_no_run()
    require_extra("server", ("sqlalchemy",))
    from mindscope.server import export_log

    result = export_log(database, folder)
    if json:
        print_json(result.to_json())
        return
    rows = [[f"{name}.parquet", n_rows] for name, n_rows in result.rows.items()]
    print_table(["file", "rows"], rows, title=result.folder)

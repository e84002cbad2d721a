"""`mindscope runs`: what was run here, and going on with it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from mindscope.cli.terminal.output import Json, print_json, print_table, print_text, say
from mindscope.cli.terminal.session import current_session
from mindscope.core import order_names
from mindscope.errors import StoreError
from mindscope.store import RunInfo, list_runs, read_run

app = typer.Typer(no_args_is_help=True, help="List, show and resume runs.")

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


@app.command("list")
def list_(
    root: Annotated[Path, typer.Argument(help="The folder to look in.")] = Path("runs"), json: Json = False
) -> None:
    """List the runs under a folder, the newest first."""
    runs = list_runs(root)
    if json:
        print_json([_summary(run) for run in runs])
    elif not runs:
        say(f"no runs under {root}")
    else:
        print_table(
            ["run", "kind", "status", "started", "updated"],
            [
                [str(run.path), run.kind, run.status, _moment(run, "started"), _moment(run, "updated")]
                for run in runs
            ],
        )


@app.command()
def show(run: RunPath, json: Json = False) -> None:
    """Show the settings, the last measurements and the pieces of a run."""
    info = read_run(run)
    files = (file.relative_to(run) for file in run.rglob("*") if file.is_file() and file.name[0] != ".")
    pieces = [str(file) for file in sorted(files, key=order_names)]
    if json:
        print_json(_summary(info) | {"record": info.record, "pieces": pieces})
        return
    rows = [[key, value] for key, value in _summary(info).items() if key != "command"]
    rows.append(["command", _command(info)])
    rows += [[f"config.{key}", str(value)] for key, value in info.record["config"].items()]
    rows += [[key, str(info.record[key])] for key in ("seed", "fingerprint")]
    print_table(["", str(run)], rows)
    shown = 12
    for piece in pieces[:shown]:
        print_text(f"  {piece}")
    if len(pieces) > shown:
        print_text(f"  and {len(pieces) - shown} more files")


@app.command()
def resume(
    run: RunPath,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it also where the folder comes from elsewhere.")
    ] = False,
) -> None:
    """Give the command of a run again, in the folder where it was given; finished pieces are kept.

    The command is the folder's word. If the folder was not made here by you, it is only shown.
    """
    from mindscope.cli.app import run as run_command

    info, path = read_run(run), run.resolve()
    if not info.command:
        raise StoreError(f"{run} was not started from the command line: start its program again")
    if info.command[:2] == ("runs", "resume"):
        raise StoreError(f"{run} names no command that could be resumed")
    if not (yes or info.is_made_here):
        raise StoreError(
            f"{run} was made elsewhere, moved or changed, and its command may be anybody's: read it, and add "
            f"--yes to give it in {info.folder}: {_command(info)}"
        )
    try:
        os.chdir(info.folder)
    except OSError:
        raise StoreError(
            f"{run} was started in {info.folder}, which is gone: give its command again: {_command(info)}"
        ) from None
    say(_command(info))
    session = current_session()
    session.arguments, session.resumes = info.command, None if yes else path
    if code := run_command(info.command):
        raise typer.Exit(code)


def _summary(run: RunInfo) -> dict[str, object]:
    return {
        "path": str(run.path),
        "kind": run.kind,
        "status": run.status,
        "started": run.started.isoformat(timespec="seconds"),
        "updated": run.updated.isoformat(timespec="seconds"),
        "command": list(run.command),
    }


def _command(run: RunInfo) -> str:
    import shlex

    return shlex.join(["mindscope", *run.command]) if run.command else "(from a program)"


def _moment(run: RunInfo, name: str) -> str:
    return getattr(run, name).astimezone().strftime("%Y-%m-%d %H:%M")

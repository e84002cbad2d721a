"""`mindscope serve`: answer requests until somebody ends it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mindscope.cli.from_spec import add_spec_command
from mindscope.cli.terminal import output
from mindscope.cli.terminal.stops import CommandTermination
from mindscope.errors import DataError
from mindscope.server import ServeSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

ABOUT = """Serve a model to any OpenAI client, steered and watched as each request says.

Requests take `extra_body={"mindscope": {"steer": "0.5 kind - 1.2 evil", "monitor": true}}`; the answer
carries readings, alarms with their rate, and what was really done. It listens to this machine alone;
anything else needs a token."""


def add_serve(app: typer.Typer) -> None:
    """Add the command."""
    add_spec_command(app, "serve", ServeSpec, run_server, about=ABOUT)


def run_server(spec: ServeSpec, as_json: bool = False, _run: Path | None = None) -> None:
    """Serve until the process is ended; with JSON, where it listens is said as an object."""
    require_extra("server", ("fastapi", "uvicorn", "sqlalchemy"))
    from mindscope.server import serve

    def say(line: str) -> None:
        if as_json:
            output.print_json({"serving": line})
        else:
            output.say(line)

    try:
        serve(spec, say)
    except CommandTermination:  # how a server is meant to end
        output.say("ended")


def require_extra(extra: str, modules: Sequence[str]) -> None:
    """Refuse in one line what needs an extra that is not installed."""
    from importlib.util import find_spec

    if missing := [name for name in modules if find_spec(name) is None]:
        raise DataError(f"this needs {', '.join(missing)}: pip install 'mindscope[{extra}]'")

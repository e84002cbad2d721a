"""All first words in one application, and what becomes of errors."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from mindscope import __version__
from mindscope.cli.registry import attach_commands
from mindscope.cli.terminal import output
from mindscope.cli.terminal.session import begin_session
from mindscope.cli.terminal.stops import INTERRUPTED, end_quietly, hear_stops
from mindscope.cli.terminal.streams import mend_streams
from mindscope.errors import MindscopeError

EVERYTHING = ""
"""As a first word: all commands are wanted whole."""


def build_app(first: str | None) -> typer.Typer:
    """The application of a command line that begins with a word, or with None, such as `mindscope --help`.

    It has the commands of that word; of all others it has the names. `EVERYTHING` has all.
    """
    app = typer.Typer(
        name="mindscope",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    attach_commands(app, None if first == EVERYTHING else first or "-")
    app.callback()(_root)
    return app


def __getattr__(name: str) -> Any:
    """`app` is the whole application, for whoever walks through all commands."""
    if name == "app":
        globals()["app"] = build_app(EVERYTHING)
        return globals()["app"]
    raise AttributeError(name)


def _print_version(asked: bool) -> None:
    if asked:
        output.print_text(__version__)
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A microscope for language models: read, change, predict and audit what a model uses."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit.

    The code is 0, 2 for what the user can mend (one line says what), 130 after Ctrl-C, or 143 after SIGTERM.
    """
    arguments = tuple(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in arguments
    mend_streams()
    with begin_session(arguments) as session, hear_stops() as stop:
        try:
            code = run(arguments)
        except KeyboardInterrupt:  # while commands are imported, or once more while all was being closed
            code = INTERRUPTED
        except (
            TyperException
        ) as error:  # an unknown option, a missing argument; help was shown if it is empty
            if message := error.format_message():
                path = getattr(getattr(error, "ctx", None), "command_path", "mindscope")
                message = message.replace("Value error, ", "").rstrip(".")  # the library's words, not ours
                message = f"{message} (see `{path} --help`)"
                output.print_error(message, kind="UsageError", as_json=as_json)
            code = 2
        except MindscopeError as error:
            output.print_error(str(error), kind=type(error).__name__, as_json=as_json)
            code = 2
        except BrokenPipeError:  # who read the output has gone, as in `mindscope runs list | head -1`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 1
        except OSError as error:  # a disk that is full, a name that is too long, a folder that is not ours
            place = "" if error.filename is None else f": {str(error.filename)[:200]}"
            output.print_error(
                f"{error.strerror or error}{place}", kind=type(error).__name__, as_json=as_json
            )
            code = 2
        except (MemoryError, RuntimeError) as error:
            from mindscope.models import is_out_of_memory

            if not is_out_of_memory(error):
                raise
            output.print_error(
                "memory ran out: take fewer or shorter rows at a time, a smaller --dtype, or another --device"
                f"{session.describe_resuming()}",
                kind="OutOfMemoryError",
                as_json=as_json,
            )
            code = 2
        if code == INTERRUPTED:
            code = stop.code
            end_quietly()
            with suppress(OSError):  # who started it may have gone
                output.say(f"{stop.word}{session.describe_resuming()}")
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command line in the session that is open, and hand back its exit code."""
    words = [word for word in arguments if not word.startswith("-")]
    completing = "_MINDSCOPE_COMPLETE" in os.environ
    app = build_app(EVERYTHING if completing else words[0] if words else None)
    code = app(args=list(arguments), prog_name="mindscope", standalone_mode=False)
    return code if isinstance(code, int) else 0

"""All nouns in one application, and what becomes of errors."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from mindscope import __version__
from mindscope.cli import chat, log, output, runs, schema, serve
from mindscope.cli.circuit import app as circuit
from mindscope.cli.conform import print_conform
from mindscope.cli.demo import print_demo
from mindscope.cli.dictionary import app as dictionary
from mindscope.cli.diff import print_difference
from mindscope.cli.doctor import print_doctor
from mindscope.cli.feature import app as feature
from mindscope.cli.from_spec import add_command
from mindscope.cli.organism import app as organism
from mindscope.cli.persona import app as persona
from mindscope.cli.session import begin_session
from mindscope.cli.vectors import app as vectors
from mindscope.errors import MindscopeError
from mindscope.jobs import demo as demo_job
from mindscope.jobs import diff, doctor
from mindscope.server.conform.job import conform as conform_job

app = typer.Typer(
    name="mindscope",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
add_command(app, "demo", demo_job.demo, show=print_demo)
add_command(app, "doctor", doctor.examine, show=print_doctor)
add_command(app, "diff", diff.diff_models, show=print_difference)
chat.add_chat(app)
serve.add_serve(app)
app.add_typer(log.app, name="log")
add_command(app, "conform", conform_job, show=print_conform, require=lambda report: report.require_passed())
app.add_typer(persona.app, name="persona")
app.add_typer(vectors.app, name="vectors")
app.add_typer(dictionary.app, name="dictionary")
app.add_typer(feature.app, name="feature")
app.add_typer(circuit.app, name="circuit")
app.add_typer(organism.app, name="organism")
app.add_typer(runs.app, name="runs")
app.command("schema")(schema.schema)


def _print_version(asked: bool) -> None:
    if asked:
        output.print_text(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A microscope for language models: read, change, predict and audit what a model uses."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit: 0, 2 for what the user can mend (one line says what), 130 after Ctrl-C."""
    arguments = tuple(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in arguments
    with begin_session(arguments) as session:
        try:
            code = run(arguments)
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
    if code == 130:
        go_on = "" if session.run is None else f"; go on with: mindscope runs resume {session.run}"
        output.say(f"interrupted{go_on}")
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command line in the session that is open, and hand back its exit code."""
    code = app(args=list(arguments), prog_name="mindscope", standalone_mode=False)
    return code if isinstance(code, int) else 0

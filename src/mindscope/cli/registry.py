"""What the first word of a command line may be. Only the one that is named is imported.

`mindscope --help` lists them all and must come at once, while the specifications of all jobs take a second to
build. So every word has its line of help here, and what brings its commands into an application.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import typer


@dataclass(frozen=True)
class CommandEntry:
    """A first word.

    Attributes:
        help: its line in the list of all.
        attach: adds it to an application, with all that its commands need.
        noun: whether verbs follow it.
    """

    help: str
    attach: Callable[[typer.Typer], None]
    noun: bool = False


def _noun(module: str, name: str) -> Callable[[typer.Typer], None]:
    def attach(app: typer.Typer) -> None:
        app.add_typer(import_module(f"mindscope.cli.commands.{module}").app, name=name)

    return attach


def _demo(app: typer.Typer) -> None:
    from mindscope.cli.commands.demo import print_demo
    from mindscope.cli.from_spec import add_command
    from mindscope.jobs.demo import demo

    add_command(app, "demo", demo, show=print_demo)


def _quickstart(app: typer.Typer) -> None:
    from mindscope.cli.commands.quickstart import print_quickstart
    from mindscope.cli.from_spec import add_command
    from mindscope.jobs.quickstart import quickstart

    add_command(app, "quickstart", quickstart, show=print_quickstart)


def _doctor(app: typer.Typer) -> None:
    from mindscope.cli.commands.doctor import print_doctor
    from mindscope.cli.from_spec import add_command
    from mindscope.jobs import doctor

    add_command(app, "doctor", doctor.examine, show=print_doctor)


def _plan(app: typer.Typer) -> None:
    from mindscope.cli.commands.plan import print_plan
    from mindscope.cli.from_spec import add_command
    from mindscope.jobs.planning import plan

    add_command(app, "plan", plan, show=print_plan)


def _diff(app: typer.Typer) -> None:
    from mindscope.cli.commands.diff import print_difference
    from mindscope.cli.from_spec import add_command
    from mindscope.jobs import diff

    add_command(app, "diff", diff.diff_models, show=print_difference)


def _chat(app: typer.Typer) -> None:
    from mindscope.cli.commands.chat import add_chat

    add_chat(app)


def _serve(app: typer.Typer) -> None:
    from mindscope.cli.commands.serve import add_serve

    add_serve(app)


def _conform(app: typer.Typer) -> None:
    from mindscope.cli.commands.conform import print_conform
    from mindscope.cli.from_spec import add_command
    from mindscope.server.conform.job import conform

    add_command(app, "conform", conform, show=print_conform, require=lambda report: report.require_passed())


def _schema(app: typer.Typer) -> None:
    from mindscope.cli.commands.schema import schema

    app.command("schema")(schema)


COMMANDS: dict[str, CommandEntry] = {
    "demo": CommandEntry(
        "Show the persona work-flow on one page: steer traits, then watch, screen and train for the first.",
        _demo,
    ),
    "quickstart": CommandEntry(
        "Choose traits, sizes and a judge for a model by this machine; say why, and how long it takes.",
        _quickstart,
    ),
    "doctor": CommandEntry("Say what this machine has and what it can run.", _doctor),
    "plan": CommandEntry(
        "Say how long a job will take, how much memory and disk, and what it costs, without its weights.",
        _plan,
    ),
    "diff": CommandEntry(
        "Say what tuning changed in a model: candidates of several measurements, each tested as a claim.",
        _diff,
    ),
    "gate": CommandEntry(
        "Judge whether a tuned model may ship, by a policy; the exit code is the verdict.",
        _noun("gate", "gate"),
        noun=True,
    ),
    "chat": CommandEntry(
        "Talk to a model, steer it with a dial, and see each answer's projection on the loaded vectors.",
        _chat,
    ),
    "serve": CommandEntry(
        "Serve a model to any OpenAI client, steered and watched as each request says.", _serve
    ),
    "conform": CommandEntry("Examine whether a steering server does what it says.", _conform),
    "schema": CommandEntry("Print the JSON schemas of a command's specification and of its result.", _schema),
    "log": CommandEntry("The log of a server's answers.", _noun("log", "log"), noun=True),
    "persona": CommandEntry(
        "Extract, choose, steer and show persona vectors.", _noun("persona.app", "persona"), noun=True
    ),
    "vectors": CommandEntry(
        "Steering as files that say all about themselves.", _noun("vectors.app", "vectors"), noun=True
    ),
    "dictionary": CommandEntry(
        "Train sparse dictionaries (SAE, transcoder, CLT, crosscoder).",
        _noun("dictionary.app", "dictionary"),
        noun=True,
    ),
    "feature": CommandEntry(
        "When features are active, what they mean and what they do.",
        _noun("feature.app", "feature"),
        noun=True,
    ),
    "circuit": CommandEntry(
        "Attribution graphs: trace, look, change, check, compare, export.",
        _noun("circuit.app", "circuit"),
        noun=True,
    ),
    "library": CommandEntry(
        "Cases: findings as files that can be handed on and measured again.",
        _noun("library.app", "library"),
        noun=True,
    ),
    "audit": CommandEntry(
        "Find what tunes hide, and count how often that is right.", _noun("audit.app", "audit"), noun=True
    ),
    "organism": CommandEntry(
        "Train, measure and talk to the bundled model.", _noun("organism.app", "organism"), noun=True
    ),
    "study": CommandEntry(
        "Published results, rerun: claims with their verdicts, and a page.",
        _noun("study.app", "study"),
        noun=True,
    ),
    "runs": CommandEntry("List, show and resume runs.", _noun("runs", "runs"), noun=True),
}
"""In the order of the list."""


def attach_commands(app: typer.Typer, first: str | None) -> None:
    """Add all first words: the one that is given with its commands, the others by name alone.

    Args:
        app: gets them.
        first: the first word of the command line; None adds all of them whole.
    """
    for name, entry in COMMANDS.items():
        if first in (None, name):
            entry.attach(app)
        elif entry.noun:
            stub = typer.Typer(help=entry.help)
            stub.callback()(lambda: None)
            app.add_typer(stub, name=name)
        else:
            app.command(name, help=entry.help)(lambda: None)

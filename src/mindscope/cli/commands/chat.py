"""`mindscope chat`: a conversation in the terminal, with a dial that steers the answers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mindscope.cli.from_spec import add_spec_command
from mindscope.cli.terminal import output
from mindscope.cli.terminal.stops import CommandTermination
from mindscope.errors import MindscopeError
from mindscope.jobs.chat import ChatSpec

if TYPE_CHECKING:
    from mindscope.jobs.chat import SteeredChat

ABOUT = """Talk to a model, steer it with a dial, and see each answer's projection on the loaded vectors.

Type /help for the commands. Lines may also be piped in. With --json every answer is one JSON object."""


def add_chat(app: typer.Typer) -> None:
    """Add the command."""
    add_spec_command(app, "chat", ChatSpec, converse, about=ABOUT)


def converse(spec: ChatSpec, as_json: bool = False, _run: Path | None = None) -> None:
    """Answer every line that is typed or piped in, until there is none or the person leaves."""
    chat = spec.open()
    for line in _read_lines(chat):
        try:
            if line.startswith("/"):
                if (reply := chat.obey(line)) is None:
                    return
                output.say(reply)
            elif as_json:
                output.print_json({"question": line, **chat.answer(line).to_json()})
            else:
                turn = chat.answer(line, lambda text: output.print_text(text, end=""))
                output.print_text(f"\n{turn}" if turn.projections else "")
                if turn.reasoning is not None and not turn.answer:
                    output.say("(cut while the model was still reasoning: raise --max-new-tokens)")
        except MindscopeError as error:
            output.print_error(str(error), kind=type(error).__name__, as_json=as_json)
        except CommandTermination:
            raise
        except KeyboardInterrupt:
            output.say("\n(stopped; this turn is forgotten)")


def _read_lines(chat: SteeredChat) -> Iterator[str]:
    """What is typed, or piped in."""
    if not sys.stdin.isatty():
        yield from (line.strip() for line in sys.stdin if line.strip())
        return
    import readline  # noqa: F401  (gives the prompt a history and editing)

    output.say(f"{chat.model.name}: {chat.status()}; /help shows the commands")
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            output.say("")
            return
        if line:
            yield line

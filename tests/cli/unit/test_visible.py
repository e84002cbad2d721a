"""Whatever a model or a file says, the terminal is not told to do anything."""

import ast
import io
import json
import sys
from pathlib import Path

import pytest

import mindscope
from mindscope.cli.commands import chat
from mindscope.cli.terminal import output
from mindscope.cli.terminal.visible import as_visible
from mindscope.jobs.chat import ChatSpec, ChatTurn

HOSTILE = {
    "\x1b[2J": "\\u001b[2J",  # clears the screen
    "\x1b]52;c;cm0gLXJm\x07": "\\u001b]52;c;cm0gLXJm\\u0007",  # writes to the clipboard
    "\x9b31m": "\\u009b31m",  # the same start in one character
    "good\rbad": "good\\u000dbad",  # writes over the line
    "abc\x08\x08\x08": "abc\\u0008\\u0008\\u0008",
    "\u202egnp.exe": "\\u202egnp.exe",  # reads backwards
    "half \ud83d": "half \\ud83d",
    "two\u2028lines": "two\\u2028lines",
}
ALL = " ".join(HOSTILE)
SHOWN = " ".join(HOSTILE.values())
HARMLESS = "Zwei\tSpalten\nund eine Zeile: 日本語, שלום, 👩‍🔬"


@pytest.mark.parametrize("text", HOSTILE)
def test_orders_to_the_terminal_are_shown(text):
    assert as_visible(text) == HOSTILE[text]


def test_text_of_every_language_stays():
    assert as_visible(HARMLESS) == HARMLESS


def speak_text() -> None:
    output.print_text(ALL)


def speak_json() -> None:
    output.print_json({"answer": ALL})


def speak_table() -> None:
    output.print_table([ALL], [[ALL]], title=ALL)


def speak_aside() -> None:
    output.say(ALL)


def speak_error() -> None:
    output.print_error(f"{ALL}\n{ALL}", kind="E", as_json=False)


def speak_error_as_json() -> None:
    output.print_error(ALL, kind="E", as_json=True)


def speak_progress() -> None:
    with output.progress() as report:
        report(1, 2, ALL)


def speak_at_a_terminal() -> None:
    with output._Bars() as report:
        report(1, 2, ALL)


@pytest.mark.parametrize(
    "speak",
    [
        speak_text,
        speak_json,
        speak_table,
        speak_aside,
        speak_error,
        speak_error_as_json,
        speak_progress,
        speak_at_a_terminal,
    ],
)
def test_every_way_to_print(capsys, speak):
    speak()
    printed = "".join(capsys.readouterr())
    codes = {character for character in printed if ord(character) < 32 or 127 <= ord(character) < 160}
    assert codes <= {"\n"}
    assert "\\u001b[2J" in printed


def test_printed_json_stays_json(capsys):
    speak_json()
    assert json.loads(capsys.readouterr().out)["answer"] == ALL


def test_markup_in_a_title_is_text(capsys):
    output.print_table(["[red]a[/red]"], [["[b]"]], title="[b]t[/b]")
    printed = capsys.readouterr().out
    assert "[b]t[/b]" in printed
    assert "[red]a[/red]" in printed


def test_a_hostile_model_in_a_chat(capsys, monkeypatch):
    class HostileChat:
        def answer(self, line, on_text=None):
            if on_text:
                on_text(ALL)
            return ChatTurn(
                answer=ALL,
                reasoning=ALL,
                projections={ALL: 1.0},
                pushed={ALL: 0.0},
                steering=ALL,
                layer=0,
                dial=0.0,
            )

    monkeypatch.setattr(ChatSpec, "open", lambda spec: HostileChat())
    for as_json in (False, True):
        monkeypatch.setattr(sys, "stdin", io.StringIO("Hello\n"))
        chat.converse(ChatSpec(model="x"), as_json)
        printed = capsys.readouterr().out
        assert "\x1b" not in printed
        assert "\\u001b[2J" in printed


def prints(file: Path) -> list[str]:
    """The calls in a file that write to the terminal by themselves."""
    calls = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in (
                "print",
                "typer.echo",
                "typer.secho",
                "click.echo",
                "sys.stdout.write",
                "sys.stderr.write",
            ):
                calls.append(f"{file.name}:{node.lineno} {name}")
    return calls


def test_nothing_is_printed_in_another_way():
    package = Path(mindscope.__file__).parent
    # the workbench's worker writes JSON in ASCII to a pipe that the server reads, never to a terminal
    # and a fixed word is written where Ctrl-C comes before anything that prints could be imported
    fixed = package / "cli" / "__init__.py"
    output_file = package / "cli" / "terminal" / "output.py"
    elsewhere = (output_file, package / "server" / "workbench" / "worker.py", fixed)
    files = [file for file in package.rglob("*.py") if file not in elsewhere]
    assert [call for file in files for call in prints(file)] == []
    assert len(prints(output_file)) == 3
    assert len(prints(fixed)) == 1
    assert 'sys.stderr.write("interrupted\\n")' in fixed.read_text("utf-8")

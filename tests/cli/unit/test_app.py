"""Start-up, help, and what becomes of errors."""

import json
import re
import subprocess
import sys

import pytest
import typer
from typer.main import get_command

import mindscope as ms
from mindscope.cli.app import app, build_app
from mindscope.cli.registry import COMMANDS
from mindscope.cli.terminal import output
from mindscope.errors import MindscopeError, StoreError

HEAVY = ("torch", "transformers", "datasets", "sklearn", "matplotlib", "pyarrow", "openai")


def commands(command, path=()) -> list[tuple[str, ...]]:
    """Every command line of the application, with and without its verb."""
    found = [path]
    for name, inner in getattr(command, "commands", {}).items():
        found += commands(inner, (*path, name))
    return found


WHOLE = get_command(app)
ALL = commands(WHOLE)


def test_the_application_has_its_nouns():
    verbs = {
        "persona": ("traits", "artifacts", "extract", "sweep", "steer", "show", "export", "import"),
        "organism": ("train", "card", "chat"),
        "runs": ("list", "show", "resume"),
    }
    wanted = {(noun, verb) for noun, each in verbs.items() for verb in each}
    assert {("demo",), ("doctor",), ("chat",)} | wanted <= set(ALL)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help(cli, path):
    result = cli(*path, "--help")
    assert result.code == 0
    assert "Usage: mindscope" in result.out


def test_help_imports_nothing_heavy():
    code = f"""
import sys
from mindscope.cli.app import app, run
for path in {ALL!r}:
    run([*path, "--help"])
print("HEAVY", [name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["HEAVY []"], done.stderr


def test_importing_the_package_imports_nothing_heavy():
    code = f"import sys, mindscope; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_there():
    for name in ms.__all__:
        assert getattr(ms, name) is not None
    assert set(ms.__all__) <= set(dir(ms))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = ms.nonsense  # pyright: ignore[reportAttributeAccessIssue]


def test_version(cli):
    assert cli("--version").out.strip() == ms.__version__


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--nope"], "No such option: --nope (see `mindscope --help`)"),
        (["runs", "lst"], "No such command 'lst'"),
        (["runs", "show"], "Missing argument 'RUN' (see `mindscope runs show --help`)"),
        (["runs", "show", "nowhere"], "nowhere is not a run folder"),
    ],
)
def test_bad_input_is_one_line_and_code_2(cli, arguments, says):
    result = cli(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert result.err.count("\n") == 1
    assert result.err.startswith("error: ")
    assert says in result.err


def test_errors_as_json(cli):
    result = cli("runs", "show", "nowhere", "--json")
    assert (result.code, result.out) == (2, "")
    error = json.loads(result.err)
    assert error["kind"] == "StoreError"
    assert "nowhere is not a run folder" in error["error"]
    assert json.loads(cli("runs", "--json").err)["kind"] == "UsageError"


def test_no_arguments_show_help(cli):
    result = cli()
    assert "Usage: mindscope" in result.out + result.err
    assert "error" not in result.err


@pytest.fixture
def failing(monkeypatch):
    """A command that raises whatever the test wants."""

    def register(error: BaseException) -> None:
        noun = typer.Typer()

        @noun.command("fail")
        def fail() -> None:
            raise error

        @noun.command("other")
        def other() -> None: ...

        monkeypatch.setattr("mindscope.cli.app.build_app", lambda first: noun)

    return register


def test_mendable_errors_and_others(cli, failing):
    failing(StoreError("first\n  second"))
    assert cli("fail").err == "error: first\n  second\n"
    failing(MindscopeError("what to do"))
    assert cli("fail").code == 2
    failing(ZeroDivisionError("a defect"))
    with pytest.raises(ZeroDivisionError):
        from mindscope.cli import main

        main(["fail"])


def test_interruption(cli, failing):
    failing(KeyboardInterrupt())
    result = cli("fail")
    assert (result.code, result.err) == (130, "interrupted\n")


def test_progress_in_plain_lines(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    with output.progress() as report:
        for now[0], done in ((0.0, 10), (1.0, 11), (6.0, 20), (7.0, 21)):
            report(done, 100, "answers")
        report.forecast(30.0, "answers")
        for now[0], done in ((17.0, 66), (25.0, 100)):
            report(done, 100, "answers")
        report(1, 1, "scores")
    assert capsys.readouterr().err.splitlines() == [
        "answers 10/100",
        "answers 20/100, 0:48 left",
        "answers 66/100, 0:20 left",  # by whoever writes them, and not by the rate so far: 0:10
        "answers 100/100, took 0:25",
        "scores 1/1",
    ]


def test_progress_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with output.progress() as report:
        report(1, 2, "[red]answers")
        report(2, 2, "[red]answers")
    assert "[red]answers" in capsys.readouterr().err


def test_tables_are_not_cut_without_a_terminal(capsys):
    output.print_table(["name", "value"], [["x" * 120, 1.23456789], ["[b]", None]])
    out = capsys.readouterr().out
    assert "x" * 120 in out
    assert "1.235" in out
    assert "[b]" in out
    assert "–" in out


def test_the_list_of_commands_says_of_each_what_it_says_itself():
    whole = WHOLE.commands
    assert {*whole} == {*COMMANDS}
    for name, entry in COMMANDS.items():
        assert " ".join((whole[name].help or "").split("\n\n")[0].split()) == entry.help, name
        assert hasattr(whole[name], "commands") == entry.noun, name


def test_a_command_line_has_the_commands_of_its_first_word_alone():
    commands = get_command(build_app("runs")).commands
    assert [*commands["runs"].commands] == [*WHOLE.commands["runs"].commands]
    assert not commands["circuit"].commands
    assert [*commands] == [*get_command(build_app(None)).commands]


def test_help_keeps_what_stands_in_brackets(monkeypatch, capsys):
    """Rich takes `[all]` for a style: an example in the help of an option lost the part that mattered."""
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 4000)
    bracketed = 0
    for name, noun in WHOLE.commands.items():
        for verb, command in getattr(noun, "commands", {"": noun}).items():
            texts = [command.help or "", *(getattr(item, "help", None) or "" for item in command.params)]
            marked = [part for text in texts for part in re.findall(r"\S*\[[a-z#/@][^\[]*?\]\S*", text)]
            if marked:
                with WHOLE.make_context(
                    "mindscope", [name, *([verb] if verb else [])], resilient_parsing=True
                ) as root:
                    command.format_help(command.context_class(command, root, verb or name), None)
                shown = " ".join(capsys.readouterr().out.split())
                bracketed += len(marked)
                assert [part for part in marked if part not in shown] == [], f"{name} {verb}"
    assert bracketed >= 3

"""Commands that are stopped from outside: one last line, a code, and how to go on where there is a run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from mindscope.cli import main
from mindscope.cli.commands import chat
from mindscope.cli.terminal.session import begin_session, current_session
from mindscope.jobs.chat import ChatSpec
from mindscope.store import Run, read_run


@pytest.fixture
def command(monkeypatch):
    """Puts a function in the place of all commands."""

    def put(work) -> None:
        noun = typer.Typer()
        noun.command("work")(work)
        noun.command("other")(lambda: None)
        monkeypatch.setattr("mindscope.cli.app.build_app", lambda first: noun)

    return put


def terminate() -> None:
    """SIGTERM reaches this process."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def test_sigterm_ends_a_run_as_ctrl_c_does(cli, command, tmp_path):
    def work() -> None:
        folder = current_session().run_folder(tmp_path / "run")
        with Run.open(folder.path, kind="work", config={}, command=folder.command):
            terminate()

    command(work)
    result = cli("work")
    assert (result.code, result.err) == (
        143,
        f"terminated; go on with: mindscope runs resume {tmp_path / 'run'}\n",
    )
    assert read_run(tmp_path / "run").status == "interrupted"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


class Tidying:
    """Is stopped while it is tidied up, where Python lets no error through."""

    def __init__(self, number: int):
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)
        time.sleep(0)  # here the signal is heard


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_that_comes_while_an_object_is_tidied_up_is_not_lost(cli, command, number, code):
    former, reached = sys.unraisablehook, []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def work() -> None:
        Tidying(number)
        time.sleep(1)
        reached.append(True)

    command(work)
    try:
        assert cli("work").code == code
    finally:
        signal.signal(signal.SIGINT, before)
    assert not reached
    assert sys.unraisablehook is former


def test_whoever_hears_sigterm_already_goes_on_hearing_it(cli, command, monkeypatch):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(True))
    command(lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        assert cli("work").code == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [True]


def test_a_process_that_was_forked_dies_of_sigterm_without_a_word(cli, command):
    ended = []

    def work() -> None:
        if (child := os.fork()) == 0:
            try:
                terminate()
            finally:
                os._exit(0)
        ended.append(os.waitpid(child, 0)[1])

    command(work)
    assert (cli("work").code, ended) == (0, [signal.SIGTERM])


def test_a_server_that_is_told_to_end_has_ended_well(cli, monkeypatch):
    monkeypatch.setattr("mindscope.server.serve", lambda spec, say: terminate())
    result = cli("serve", "organism")
    assert (result.code, result.err) == (0, "ended\n")


def test_a_chat_forgets_a_turn_at_ctrl_c_and_ends_at_sigterm(cli, monkeypatch):
    class Talk:
        asked = 0

        def answer(self, line, _hear):
            Talk.asked += 1
            if line == "one":
                raise KeyboardInterrupt
            terminate()

    monkeypatch.setattr(ChatSpec, "open", lambda self: Talk())
    monkeypatch.setattr(chat, "_read_lines", lambda _: iter(["one", "two", "three"]))
    result = cli("chat", "organism")
    assert (result.code, result.err) == (143, "\n(stopped; this turn is forgotten)\nterminated\n")
    assert Talk.asked == 2


def test_ctrl_c_while_commands_are_imported(cli, monkeypatch):
    def interrupt(first):
        raise KeyboardInterrupt

    monkeypatch.setattr("mindscope.cli.app.build_app", interrupt)
    result = cli("runs", "list")
    assert (result.code, result.err) == (130, "interrupted\n")

    code = """
import sys
class Interruption:
    def find_spec(self, name, *_):
        if name == "mindscope.cli.app": raise KeyboardInterrupt
sys.meta_path.insert(0, Interruption())
from mindscope.cli import main
main(["runs", "list"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_an_impatient_second_ctrl_c_leaves_no_traceback():
    code = """
import atexit, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
atexit.register(os.kill, os.getpid(), signal.SIGINT)  # as the libraries take themselves down
import mindscope.cli.app as app
def stop(arguments): raise KeyboardInterrupt
app.run = stop
app.main([])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_a_run_that_was_not_begun_is_not_offered(tmp_path):
    with begin_session([]) as session:
        session.run_folder(tmp_path / "never")
        assert session.describe_resuming() == ""


def test_a_run_of_another_command_is_not_offered(tmp_path):
    Run.open(tmp_path / "run", kind="work", config={}, command=["first"]).close()
    with begin_session(["second"]) as session:
        session.run_folder(tmp_path / "run")
        assert session.describe_resuming() == ""


@pytest.mark.parametrize(
    ("name", "shown"),
    [("plain", "plain"), ("two words", "'two words'"), ("it's", """'it'"'"'s'"""), ("-x", "./-x")],
)
def test_the_run_is_named_as_a_shell_takes_it(tmp_path, monkeypatch, name, shown):
    monkeypatch.chdir(tmp_path)
    Run.open(name, kind="work", config={}).close()
    with begin_session([]) as session:
        session.run_folder(Path(name))
        assert session.describe_resuming() == f"; go on with: mindscope runs resume {shown}"


def test_a_run_that_is_resumed_from_elsewhere_is_named_from_there(tmp_path, monkeypatch, command, capsys):
    """`runs resume` gives the command in the folder where it was first given, and the shell is in another."""
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(folder)
    Run.open("run", kind="work", config={}, command=["work"]).close()
    monkeypatch.chdir(elsewhere)

    def resume() -> None:
        os.chdir(folder)
        current_session().run_folder(Path("run"))
        raise KeyboardInterrupt

    command(resume)
    with pytest.raises(SystemExit, match="130"):
        main(["work"])
    assert capsys.readouterr().err.endswith(f"mindscope runs resume {folder / 'run'}\n")

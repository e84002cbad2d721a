"""Standard streams that are closed, full or gone, or lack characters: no command falls over them."""

import json
import os
import subprocess
import sys

import pytest

from mindscope.cli.terminal.streams import is_unicode
from mindscope.store import Run

MINDSCOPE = [sys.executable, "-m", "mindscope"]


def shell(redirections: str, *arguments: str, stdin: bytes = b"", **environment: str):
    """A command line under redirections of a shell."""
    command = ["sh", "-c", f'"$@" {redirections}', "sh", *MINDSCOPE, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, env=os.environ | environment)


@pytest.mark.parametrize("closed", [">&-", "<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_streams(closed):
    done = shell(closed, "persona", "traits")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2>/dev/full --json"])
def test_an_error_that_nobody_can_be_told_is_in_the_code(redirection):
    done = shell(redirection, "runs", "show", "nowhere")
    assert (done.returncode, done.stdout) == (2, b"")


def test_a_file_that_is_opened_later_does_not_become_standard_output(tmp_path):
    """A file that is opened gets the lowest number that is free; a C library prints to number 1."""
    code = f"""
import os
from mindscope.cli import main
import mindscope.cli.app as app
def run(arguments):
    with open({str(tmp_path / "file")!r}, "w") as file:
        os.write(1, b"said by a library")
        file.write("kept")
    return 0
app.run = run
main([])
"""
    command = ["sh", "-c", '"$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code]
    assert subprocess.run(command).returncode == 0
    assert (tmp_path / "file").read_text() == "kept"


def test_chat_without_input_ends(tmp_path):
    code = "import sys; sys.stdin = None\n"
    code += "from mindscope.cli.terminal.streams import mend_streams; mend_streams()\n"
    code += "print(list(sys.stdin))"
    done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"[]\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk", "utf-8"])
def test_names_that_the_encoding_lacks(tmp_path, encoding):
    Run.open(tmp_path / "没有 😀 é", kind="work", config={}).close()
    table = shell("", "runs", "list", str(tmp_path), PYTHONIOENCODING=encoding)
    assert (table.returncode, table.stderr) == (0, b"")
    shown = table.stdout.decode(encoding)
    assert ("没有" if encoding in ("gbk", "utf-8") else "\\u6ca1\\u6709") in shown
    assert ("😀" if encoding == "utf-8" else "\\U0001f600") in shown

    listed = shell("", "runs", "list", str(tmp_path), "--json", PYTHONIOENCODING=encoding)
    assert [run["path"] for run in json.loads(listed.stdout.decode(encoding))] == [
        str(tmp_path / "没有 😀 é")
    ]

    failed = shell("", "runs", "show", "没有", "--json", PYTHONIOENCODING=encoding)
    assert json.loads(failed.stderr.decode(encoding))["error"].startswith("没有 is not a run folder")


def test_bytes_that_the_encoding_lacks_are_read_as_lone_surrogates():
    code = "import sys\nfrom mindscope.cli.terminal.streams import mend_streams; mend_streams()\n"
    code += "print(ascii(sys.stdin.read()))"
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, input=b"a\xff", capture_output=True, env=environment)
    assert (done.returncode, done.stdout.strip()) == (0, rb"'a\udcff'")


def test_which_encodings_have_every_character():
    assert [is_unicode(name) for name in ("UTF-8", "utf8", "utf_16", "ascii", "cp1252", None)] == [
        *[True] * 3,
        *[False] * 3,
    ]

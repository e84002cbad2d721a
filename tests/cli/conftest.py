"""Running a command line inside the test's process, or in one of its own."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from mindscope.cli import main


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys) -> Callable[..., Result]:
    """`cli("runs", "list")` runs a command line here; exceptions that are no exit come through."""

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Result(int(caught.value.code or 0), out, err)

    return run


@pytest.fixture
def process() -> Callable[..., Result]:
    """`process("runs", "list")` runs a command line as a user would."""

    def run(*arguments: str, stdin: str = "") -> Result:
        command = [sys.executable, "-m", "mindscope", *map(str, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True)
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def refused(capsys) -> Callable[..., str]:
    """`refused("chat", ...)` runs a command line that must end with code 2; gives the one line that says why.

    What the data hold may have been said before.
    """

    def run(*arguments: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert caught.value.code == 2
        assert out == ""
        *before, line = err.splitlines()
        assert all(re.match(r"\S+: \d+ rows? \(", said) for said in before)
        assert line.startswith("error: ")
        return line

    return run

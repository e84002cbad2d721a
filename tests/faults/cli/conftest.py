"""The command-line fixture of the unit tests."""

from collections.abc import Callable

import pytest

from mindscope.cli import main


@pytest.fixture
def refused(capsys) -> Callable[..., str]:
    """`refused("chat", ...)` runs a command line that must end with code 2; gives the one line it said."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert caught.value.code == 2
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("error: ")
        return line

    return run

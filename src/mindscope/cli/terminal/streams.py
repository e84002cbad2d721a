"""Standard streams as a command finds them: closed, or with an encoding that lacks what it has to say."""

from __future__ import annotations

import io
import os
import sys


def mend_streams() -> None:
    """Make all three streams ones that can be used.

    1. One that whoever started the command has closed leads nowhere. Its number is taken too, or the next
       file that is opened would be given it, and get what a library writes to its standard output.
    2. What the encoding has no character for is written as its code, and bytes that it has no character for
       are read as lone surrogates, which whoever reads the text refuses in a line.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        _take_number(number)
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors=errors)


def is_unicode(encoding: str | None) -> bool:
    """Whether an encoding has every character."""
    return (encoding or "").lower().replace("-", "").replace("_", "").startswith("utf")


def _take_number(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)

"""The command line: `mindscope NOUN VERB`; in `commands/` a noun is a folder and a lone word a file.

`registry.py` lists the first words, `from_spec.py` makes commands out of jobs, `terminal/` prints.
Nothing here imports torch before a command needs it, so that help and lists come at once.
"""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit.

    The code is 0, 2 for what the user can mend (one line says what), 130 after Ctrl-C, or 143 after SIGTERM.
    """
    try:  # importing takes long enough to change one's mind
        from mindscope.cli.app import main as run_line
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    run_line(arguments)

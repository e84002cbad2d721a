"""A PostgreSQL server for tests, in a folder of its own, which listens on a socket in that folder alone.

python tests/support/postgres_kit.py start FOLDER    # prints the URL; as root, run by another user
python tests/support/postgres_kit.py stop FOLDER
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

URL = "MINDSCOPE_TEST_POSTGRES"
"""The variable that names a server which runs already."""

_OTHERS = ("postgres", "nobody")
"""Who runs the server where root asks for it: it refuses to be root."""


def find_programs() -> Path | None:
    """The folder of initdb and pg_ctl, of the newest version; None where there is none."""
    if (own := shutil.which("initdb")) is not None:
        return Path(own).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3]))
    return installed[-1].parent if installed else None


def start(folder: Path, programs: Path) -> str:
    """Make a server in an empty folder, which is the whole of it, and start it.

    Args:
        folder: with a short path, as the name of a socket has at most 107 characters.
        programs: where initdb and pg_ctl lie.

    Returns:
        The URL of its database.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(folder, _other_user())
    _run(programs / "initdb", "-D", str(folder / "data"), "-U", "mindscope", "-A", "trust", "--no-sync")
    options = f"-k {folder} -c listen_addresses='' -c max_connections=40"
    _run(
        programs / "pg_ctl",
        *("-D", str(folder / "data"), "-l", str(folder / "log"), "-w", "-t", "60", "-o", options, "start"),
    )
    return f"postgresql+psycopg://mindscope@/postgres?host={quote(str(folder), safe='')}"


def stop(folder: Path, programs: Path) -> None:
    """Stop it, and remove its folder."""
    _run(programs / "pg_ctl", "-D", str(folder / "data"), "-m", "fast", "-w", "stop")
    shutil.rmtree(folder)


def _other_user() -> str:
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _OTHERS if name in known)


def _run(program: Path, *arguments: str) -> None:
    as_whom = {"user": _other_user(), "extra_groups": []} if os.geteuid() == 0 else {}
    # To a file and not a pipe: the server goes on and would hold the pipe open.
    done = subprocess.run(
        [str(program), *arguments],
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        **as_whom,  # pyright: ignore[reportArgumentType]
    )
    if done.returncode:
        raise RuntimeError(f"{program.name} ended with {done.returncode}")


if __name__ == "__main__":
    found = find_programs()
    if found is None:
        sys.exit("PostgreSQL is not installed: apt-get install postgresql")
    match sys.argv[1:]:
        case ["find"]:
            print(found)
        case ["start", where]:
            print(start(Path(where), found))
        case ["stop", where]:
            stop(Path(where), found)

"""The runs under a folder by names, what was started in them, and tickets with which their pages are shown.

A name is looked for among the runs that are there and never made a path. A page that a run keeps is shown in
a frame, where a browser sends no token: the address has a ticket in its place, which is drawn at random,
belongs to one file, and ends after some minutes.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from mindscope.core import order_names
from mindscope.errors import DataError, StoreError
from mindscope.server.api.whole_text import escape_halves
from mindscope.server.workbench.workers import JobStep
from mindscope.store import RunInfo, is_sealed, list_runs, read_json, seal_command, write_json

STARTED = ".workbench"
"""Inside the folder of runs: what was started on the workbench, a file for each run."""

TICKET_SECONDS = 600.0
"""How long an address with a ticket is good."""
MOST_TICKETS = 256
MOST_PAGE_BYTES = 2**26


@dataclass(frozen=True)
class RunShelf:
    """The runs under one folder.

    Attributes:
        root: the folder; None where the server was started without one.
    """

    root: Path | None

    def runs(self) -> dict[str, RunInfo]:
        """All runs by their names, the newest first."""
        if self.root is None or not self.root.is_dir():
            return {}
        return {self.name_of(run.path): run for run in list_runs(self.root)}

    def name_of(self, path: Path) -> str:
        """What a run in a folder is called; a byte of its path that is no UTF-8 stands as an escape."""
        assert self.root is not None
        return escape_halves(path.relative_to(self.root).as_posix())

    def find(self, name: str) -> RunInfo:
        """A run by its name.

        Raises:
            DataError: there is none.
        """
        try:
            return self.runs()[name]
        except KeyError:
            raise DataError(f"there is no run {name!r} in the folder of --runs") from None

    def require_root(self) -> Path:
        """The folder.

        Raises:
            DataError: there is none.
        """
        if self.root is None:
            raise DataError("this server keeps no runs: start it with --runs FOLDER")
        return self.root

    def keep_work(self, run: Path, title: str, steps: Sequence[JobStep]) -> None:
        """Remember what is started in a run, so that it can be taken up by another server.

        It is sealed as the commands of runs are: only what this user started here is started again.
        """
        plain = json.loads(json.dumps([asdict(step) for step in steps], default=str))
        seal = seal_command(run, [title, json.dumps(plain)], STARTED)
        file = self._work_file(run)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"title": title, "steps": plain, "seal": seal})

    def find_work(self, run: Path) -> tuple[str, list[JobStep]] | None:
        """What was started in a run on the workbench, by this user; None where nothing was."""
        try:
            kept = read_json(self._work_file(run))
            title, plain, seal = kept["title"], kept["steps"], kept["seal"]
            if not is_sealed(seal, run, [title, json.dumps(plain)], STARTED):
                return None
            return title, [JobStep.of(one) for one in plain]
        except (StoreError, KeyError, TypeError):
            return None

    def give_back(self, run: Path) -> None:
        """Remove a folder that was taken for a run in which nothing was begun; any other stays."""
        try:
            run.rmdir()
        except OSError:
            return  # it holds something
        self._work_file(run).unlink(missing_ok=True)

    def _work_file(self, run: Path) -> Path:
        return self.require_root() / STARTED / f"{quote(self.name_of(run), safe='')}.json"

    @staticmethod
    def pages(run: RunInfo) -> tuple[str, ...]:
        """The HTML pages in a run, those on top first; none through a link that leads elsewhere."""
        top = run.path.resolve()
        files = [file for file in run.path.rglob("*.html") if file.resolve().is_relative_to(top)]
        names = [file.relative_to(run.path).as_posix() for file in files]
        names = [name for name in names if name == escape_halves(name)]  # no request can name another
        return tuple(sorted(names, key=lambda name: (name.count("/"), order_names(name))))


class PageTickets:
    """Addresses of pages that need no token."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, tuple[float, Path]] = OrderedDict()
        self._lock = threading.Lock()

    def issue(self, file: Path) -> str:
        """A ticket for one file."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._files[ticket] = (time.monotonic() + TICKET_SECONDS, file)
            while len(self._files) > MOST_TICKETS:
                self._files.popitem(last=False)
        return ticket

    def find(self, ticket: str) -> Path | None:
        """The file of a ticket; None where it has ended or never was."""
        with self._lock:
            end, file = self._files.get(ticket, (0.0, None))
        return file if time.monotonic() < end else None

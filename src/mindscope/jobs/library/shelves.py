"""Libraries: a folder of cases, or the same folder behind a server that hands out files."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from mindscope.errors import DataError
from mindscope.jobs.job import JobSpec, Reporter
from mindscope.jobs.library.packing import require_new_case
from mindscope.library import INDEX, LibraryEntry, LibraryShelf, write_index
from mindscope.store import Document

MOST_BYTES = 2**31
"""Two gigabytes: dictionaries of middling models fit in, and no disk is filled by one command."""


class LibrarySpec(JobSpec):
    """A library."""

    library: str
    """A folder of cases, or the http address of one."""


class ListLibrarySpec(LibrarySpec):
    """What `list` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("library",)


class FetchCaseSpec(LibrarySpec):
    """What `fetch` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("library", "name", "to")

    name: str
    """The file of a case, as `library list` has it."""
    to: Path
    """The .case file to write; one that is there already is not written over."""
    most_bytes: int = Field(default=MOST_BYTES, ge=1)
    """A case that is larger is refused before it is fetched."""


class IndexLibrarySpec(JobSpec):
    """What `index` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("folder",)

    folder: Path
    """A folder of cases."""


class LibraryListing(Document):
    """The cases of a library."""

    library: str
    cases: tuple[LibraryEntry, ...]


class FetchReport(Document):
    """The case that was copied."""

    file: str
    case: LibraryEntry


def list_library(spec: ListLibrarySpec, *, reporter: Reporter) -> LibraryListing:
    """List the cases of a folder, or of a server that hands out such a folder."""
    del reporter  # there is nothing to wait for
    return LibraryListing(library=spec.library, cases=LibraryShelf(spec.library).read_index().cases)


def fetch_case(spec: FetchCaseSpec, *, reporter: Reporter) -> FetchReport:
    """Copy a case out of a library, and check that it is what the library's index says."""
    require_new_case(spec.to)
    entry = LibraryShelf(spec.library).fetch(spec.name, spec.to, spec.most_bytes, reporter.progress)
    return FetchReport(file=str(spec.to), case=entry)


def index_library(spec: IndexLibrarySpec, *, reporter: Reporter) -> LibraryListing:
    """Write the index of a folder of cases, so that any server can hand the folder out."""
    if not spec.folder.is_dir():
        raise DataError(f"FOLDER: no such folder: {spec.folder}")
    index = write_index(spec.folder)
    reporter.say(f"wrote {spec.folder / INDEX}")
    return LibraryListing(library=str(spec.folder), cases=index.cases)

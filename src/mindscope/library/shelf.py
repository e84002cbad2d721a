"""A library: a folder of cases, or the same folder behind any server that hands out files.

A folder is looked through. A server cannot be, so it hands out `library.json`, which names every case with
its digest; `write_index` makes it. From a server nothing is taken that the index does not name, or that has
another size or digest; no redirection is followed, and nothing is sent but the request for the file.
"""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, ClassVar
from urllib.parse import quote

from pydantic import Field, ValidationError, field_validator

from mindscope.core import Progress, order_names, parse_exact_json, parse_http_address
from mindscope.errors import DataError, StoreError
from mindscope.library.archive import ENDING, OpenedCase, open_case
from mindscope.library.manifest import CaseKind, ReaderVerdict, is_plain_name
from mindscope.store import Document, SavedDocument, replacing

INDEX = "library.json"
MOST_INDEX_BYTES = 2**24
"""Of an index from a server: some ten thousand cases."""
SECONDS = 30.0
"""The most time for a server to say anything more."""
_AT_ONCE = 2**18


class LibraryEntry(Document):
    """One case of a library."""

    file: str
    bytes: int = Field(ge=0)
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    kind: CaseKind
    title: str
    models: tuple[str, ...]
    """Whose it is: names and the beginnings of fingerprints."""
    verdict: ReaderVerdict | None

    @field_validator("file")
    @classmethod
    def _require_plain_name(cls, name: str) -> str:
        if not is_plain_name(name) or "/" in name or not name.endswith(ENDING):
            raise ValueError(f"{name!r} cannot name a case")
        return name

    @classmethod
    def of(cls, case: OpenedCase) -> LibraryEntry:
        """What an index says of a case."""
        manifest = case.manifest
        digest = hashlib.sha256()
        with case.path.open("rb") as file:
            while piece := file.read(_AT_ONCE):
                digest.update(piece)
        return cls(
            file=case.path.name,
            bytes=case.path.stat().st_size,
            sha256=digest.hexdigest(),
            kind=manifest.kind,
            title=manifest.title,
            models=tuple(model.short for model in manifest.models.values()),
            verdict=manifest.verdict,
        )


class LibraryIndex(SavedDocument):
    """All cases of a library, by the names of their files."""

    SCHEMA: ClassVar[str] = "mindscope.library/1"

    cases: tuple[LibraryEntry, ...]

    def find(self, name: str) -> LibraryEntry:
        """The entry of a file, with or without its ending; DataError where there is none."""
        for entry in self.cases:
            if entry.file in (name, f"{name}{ENDING}"):
                return entry
        known = ", ".join(entry.file for entry in self.cases[:10]) or "none"
        raise DataError(f"the library has no case {name!r}: it has {known}")


@dataclass(frozen=True)
class LibraryShelf:
    """Where cases are: a folder, or the http address of one.

    Raises:
        DataError: neither a folder nor a plain http address.
    """

    place: str

    def __post_init__(self) -> None:
        if self.is_remote:
            try:
                parts = parse_http_address(self.place)
            except ValueError as error:
                raise DataError(
                    f"that is no library's address ({error}): write for example http://127.0.0.1:8000/cases"
                ) from None
            if parts.username or parts.password or parts.query or parts.fragment:
                raise DataError(
                    "a library's address has a host and a path and nothing else: "
                    "write for example http://127.0.0.1:8000/cases"
                )
        elif not Path(self.place).is_dir():
            raise DataError(f"{self.place} is no folder and no http address of a library")

    @property
    def is_remote(self) -> bool:
        """Whether it is behind a server."""
        return self.place.lower().startswith(("http://", "https://"))

    def read_index(self) -> LibraryIndex:
        """All cases: out of the files of a folder, or as a server's index has them.

        Raises:
            StoreError: the server cannot be reached, or its index is none; a file of the folder is damaged.
        """
        if not self.is_remote:
            entries = sorted(Path(self.place).iterdir(), key=order_names)
            files = [
                path
                for path in entries
                if path.suffix == ENDING and path.is_file() and is_plain_name(path.name)
            ]
            return LibraryIndex(cases=tuple(LibraryEntry.of(open_case(path)) for path in files))
        address = self._address(INDEX)
        with _opened(address) as reply:
            content = reply.read(MOST_INDEX_BYTES + 1)
        if len(content) > MOST_INDEX_BYTES:
            raise StoreError(f"{address} is longer than an index can be: is it one?")
        try:
            document = parse_exact_json(content)
            if not isinstance(document, dict) or document.pop("schema", None) != LibraryIndex.SCHEMA:
                raise ValueError
            return LibraryIndex.model_validate(document)
        except (ValidationError, ValueError, RecursionError):
            raise StoreError(
                f"{address} is not the index of a library: make it with `mindscope library index FOLDER`"
            ) from None

    def fetch(self, name: str, to: Path, most_bytes: int, progress: Progress | None = None) -> LibraryEntry:
        """Copy one case, whole and with the digest that the index gives, to a file.

        Raises:
            DataError: there is no such case, or it is larger than `most_bytes`.
            StoreError: the server cannot be reached, or hands out something else; the disk refuses.
        """
        entry = self.read_index().find(name)
        if entry.bytes > most_bytes:
            raise DataError(
                f"{entry.file} has {entry.bytes:,} bytes, and {most_bytes:,} are allowed: give --most-bytes"
            )
        with replacing(to) as temporary:
            with self._source(entry.file) as source, temporary.open("wb") as written:
                digest, size = hashlib.sha256(), 0
                while size <= entry.bytes and (piece := _read(source, entry.file)):
                    digest.update(piece)
                    size += written.write(piece)
                    if progress is not None:
                        progress(min(size, entry.bytes), entry.bytes, f"bytes of {entry.file}")
            if (size, digest.hexdigest()) != (entry.bytes, entry.sha256):
                raise StoreError(
                    f"{entry.file} of {self.place} is not what the index says: "
                    "fetch it again, or have the index made again"
                )
            open_case(temporary)
        return entry

    def _address(self, name: str) -> str:
        return f"{parse_http_address(self.place).geturl().rstrip('/')}/{quote(name)}"

    @contextmanager
    def _source(self, name: str) -> Iterator[IO[bytes]]:
        if self.is_remote:
            with _opened(self._address(name)) as reply:
                yield reply
        else:
            with (Path(self.place) / name).open("rb") as file:
                yield file


def write_index(folder: Path) -> LibraryIndex:
    """Write a folder's `library.json`, so that any server can hand the folder out.

    Raises:
        DataError: there is no such folder.
        StoreError: a case in it is damaged, or the disk refuses.
    """
    index = LibraryShelf(str(folder)).read_index()
    index.save(folder / INDEX)
    return index


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """What a server points to elsewhere is not asked for: the user named this one."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


@contextmanager
def _opened(address: str) -> Iterator[IO[bytes]]:
    """A file behind an address, which is read within the block; StoreError where it cannot be."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        _NoRedirection(),
    ):
        opener.add_handler(handler)
    try:
        with opener.open(urllib.request.Request(address), timeout=SECONDS) as reply:
            yield reply
    except urllib.error.HTTPError as error:
        told = f", and points to {error.headers['Location']}" if 300 <= error.code < 400 else ""
        raise StoreError(f"{address}: the server answers {error.code}{told}: correct the address") from None
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise StoreError(f"cannot read {address} ({reason}): is the server running?") from None


def _read(source: IO[bytes], name: str) -> bytes:
    try:
        return source.read(_AT_ONCE)
    except (OSError, http.client.HTTPException) as error:
        raise StoreError(f"{name} broke off ({error}): fetch it again") from None

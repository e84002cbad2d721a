"""A case as one file: a zip archive that holds its members as they are, the manifest first.

What is in it cannot harm who opens it, whoever wrote it:

1. Members are stored and not compressed, so that nothing grows when it is opened: all members together are
   no larger than the file.
2. Names are plain (`is_plain_name`); there are no links, no folders of one's own, no hidden files.
3. The manifest names every member with its size and its SHA-256 digest. What it does not name, what is
   missing, what has another digest is refused before anything is handed out.
4. Nothing is unpickled: members are JSON, or safetensors files that their own readers check.

The same manifest and members give the same bytes: the order, the dates and the rights in the archive are
always the same.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from mindscope.core import parse_exact_json
from mindscope.errors import StoreError
from mindscope.library.manifest import SCHEMA, CaseManifest, CaseMember
from mindscope.store import plain, replacing, what_it_is

ENDING = ".case"
MANIFEST = "case.json"
MOST_MANIFEST_BYTES = 2**24
"""A manifest is a few kilobytes; labels and notes of a whole dictionary fit into 16 MB."""
MOST_MEMBERS = 10_000
"""A dictionary has a file a layer."""
_AT_ONCE = 2**20
_DATE = (1980, 1, 1, 0, 0, 0)
"""The first that a zip archive can name; the day of packing says nothing about a case."""
_RIGHTS = 0o644 << 16
_UNIX = 3

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    KeyError,
    IndexError,
    UnicodeError,
)
"""What the library raises for archives that are none, by where it notices."""


@dataclass(frozen=True)
class OpenedCase:
    """A case whose members all have the digests that the manifest gives.

    Attributes:
        path: of the file.
        manifest: what it says of itself.
    """

    path: Path
    manifest: CaseManifest

    def read_json(self, name: str) -> Any:
        """A member that is JSON; None where the case has none of this name.

        Raises:
            StoreError: it is no JSON.
        """
        if name not in {member.name for member in self.manifest.members}:
            return None
        try:
            with zipfile.ZipFile(self.path) as archive:
                return parse_exact_json(archive.read(name))
        except OSError as error:
            raise StoreError(f"cannot read {self.path}: {error.strerror or error}") from None
        except _DAMAGED:
            raise StoreError(f"{self.path}: {name} is no JSON: copy the case again") from None

    def extract(self, folder: Path) -> None:
        """Write all members into a folder.

        Raises:
            StoreError: a digest differs by now, or the disk refuses.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                for member in self.manifest.members:
                    target = folder.joinpath(*member.name.split("/"))
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(member.name) as source, target.open("xb") as written:
                        digest = _copy(source, written)
                    if digest != member.sha256:
                        raise StoreError(f"{self.path} changed while it was read: open it again")
        except OSError as error:
            raise StoreError(f"cannot unpack {self.path}: {error.strerror or error}") from None
        except _DAMAGED:
            raise StoreError(f"{self.path} changed while it was read: open it again") from None


def write_case(path: Path, manifest: CaseManifest, files: Mapping[str, Path | bytes]) -> CaseManifest:
    """Write a case, atomically; hand back its manifest with the members.

    Args:
        path: of the file.
        manifest: its `members` are taken from `files`.
        files: the content of each member, or the file that holds it.

    Raises:
        StoreError: a file cannot be read, or the disk refuses.
    """
    try:
        members = tuple(_describe(name, content) for name, content in sorted(files.items()))
        manifest = CaseManifest.model_validate(manifest.to_json() | {"members": members})
    except ValidationError as error:
        raise StoreError(f"cannot write {path}: {error.errors()[0]['msg']}") from None
    text = json.dumps({"schema": SCHEMA, **plain(manifest.to_json())}, indent=1, ensure_ascii=False)
    encoded = text.encode("utf-8", "backslashreplace") + b"\n"
    if len(encoded) > MOST_MANIFEST_BYTES:
        raise StoreError(f"cannot write {path}: its notes and provenance are longer than 16 MB: shorten them")
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        with archive.open(_entry(MANIFEST, len(encoded)), "w") as written:
            written.write(encoded)
        for member in members:
            with archive.open(_entry(member.name, member.bytes), "w") as written:
                if _fill(files[member.name], written) != member.sha256:
                    raise StoreError(f"{files[member.name]} changed while it was packed: pack again")
    return manifest


def open_case(path: Path) -> OpenedCase:
    """Read a case's manifest, and every member once to compare its digest.

    Raises:
        StoreError: one line, for a file that is absent, something else, cut short, of a newer schema, or
            holds anything that its manifest does not name, or other content than it says.
    """
    if not path.is_file():
        raise StoreError(
            f"{path} is a folder, a case is one file" if path.is_dir() else f"no such file: {path}"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _read_manifest(path, archive)
            _require_members(path, archive, manifest)
            for member in manifest.members:
                with archive.open(member.name) as source:
                    if _copy(source, None) != member.sha256:
                        raise StoreError(f"{path}: {member.name} is not what was packed: copy the case again")
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from None
    except _DAMAGED:
        raise StoreError(
            f"{path} {what_it_is(path, 'case', 'is cut short, damaged, or no case: copy it again')}"
        ) from None
    return OpenedCase(path, manifest)


def _read_manifest(path: Path, archive: zipfile.ZipFile) -> CaseManifest:
    entries = archive.infolist()
    if not entries or entries[0].filename != MANIFEST:
        raise StoreError(f"{path} is an archive but no case: it does not begin with {MANIFEST}")
    if len(entries) > MOST_MEMBERS or entries[0].file_size > MOST_MANIFEST_BYTES:
        raise StoreError(f"{path} is larger than a case can be: it was not written by mindscope")
    _require_stored(path, archive)
    try:
        document = parse_exact_json(archive.read(entries[0]))
    except ValueError as error:
        raise StoreError(f"{path}: {MANIFEST} is no JSON ({error}): copy the case again") from None
    schema = document.pop("schema", None) if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise StoreError(
            f"{path} is a {str(schema)[:80]!r}, this mindscope reads {SCHEMA}: upgrade mindscope"
        )
    try:
        return CaseManifest.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "its members"
        raise StoreError(f"{path} is damaged at '{place}': {first['msg']}") from None
    except RecursionError:
        raise StoreError(
            f"{path}: {MANIFEST} is nested too deeply: it was not written by mindscope"
        ) from None


def _require_stored(path: Path, archive: zipfile.ZipFile) -> None:
    """Nothing grows when it is read, and no two entries are the same bytes."""
    entries = archive.infolist()
    if any(
        entry.compress_type != zipfile.ZIP_STORED
        or entry.compress_size != entry.file_size
        or entry.flag_bits & 0x1  # encrypted
        for entry in entries
    ):
        raise StoreError(f"{path} holds what is compressed or encrypted: it was not written by mindscope")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise StoreError(f"{path} says it holds more than it is long: it was not written by mindscope")


def _require_members(path: Path, archive: zipfile.ZipFile, manifest: CaseManifest) -> None:
    entries = archive.infolist()[1:]
    if [(entry.filename, entry.file_size) for entry in entries] != [
        (member.name, member.bytes) for member in manifest.members
    ]:
        raise StoreError(f"{path} does not hold what its manifest names: copy the case again")


def _describe(name: str, content: Path | bytes) -> CaseMember:
    digest, size = hashlib.sha256(), 0
    if isinstance(content, bytes):
        digest.update(content)
        size = len(content)
    else:
        try:
            with content.open("rb") as file:
                while piece := file.read(_AT_ONCE):
                    digest.update(piece)
                    size += len(piece)
        except OSError as error:
            raise StoreError(f"cannot read {content}: {error.strerror or error}") from None
    return CaseMember(name=name, bytes=size, sha256=digest.hexdigest())


def _entry(name: str, size: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.create_system, entry.external_attr, entry.file_size = _UNIX, _RIGHTS, size
    return entry


def _fill(content: Path | bytes, target: IO[bytes]) -> str:
    if isinstance(content, bytes):
        target.write(content)
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as source:
        return _copy(source, target)


def _copy(source: IO[bytes], target: IO[bytes] | None) -> str:
    """Copy to `target`, where there is one, and hand back the SHA-256 digest."""
    digest = hashlib.sha256()
    while piece := source.read(_AT_ONCE):
        digest.update(piece)
        if target is not None:
            target.write(piece)
    return digest.hexdigest()

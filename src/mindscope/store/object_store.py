"""Files and folders of an object store, by addresses such as s3://BUCKET/KEY.

1. An address is a path with a scheme that fsspec knows: s3, gs, abfs, hdfs, sftp, http, memory, file. It goes
   wherever a path goes; `Path` makes one slash of two, which is understood as well.
2. What is read is copied into the user's cache, a file at a time and whole or not at all. What is there is
   used again as long as the store names the same size and version for it.
3. What is written is put under another name and then moved where a store is a file system, and put in one
   piece where it is not: then the store shows a file once it is whole.

Who may read and write is between the user and the store: fsspec's packages take keys from the environment and
from files of their own. An address with a password in it is refused, and an error of a package is named and
not repeated: it may hold one.
"""

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from mindscope.core import SECRET_NAME, cache_folder, parse_json
from mindscope.errors import DataError, StoreError
from mindscope.store.documents import require_inner_path
from mindscope.store.files import TEMPORARY, replacing, write_json

_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/{1,3}(?P<place>.*)", re.S)
_RENAMING = {"file", "local", "sftp", "ssh", "smb", "hdfs", "webhdfs"}
"""Schemes of file systems, whose files are seen while they are being written, and which rename them."""
_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "generation", "mtime", "LastModified", "last_modified")
_LISTING = "listing.json"


def object_address(path: Path | str) -> str | None:
    """The address in an object store that a path means; None for one on this machine.

    Raises:
        DataError: it holds a password or key.
    """
    parts = _ADDRESS.fullmatch(str(path))
    if parts is None:
        return None
    slashes = "///" if parts["scheme"] in ("file", "local") else "//"
    address = str(path) if "://" in str(path) else f"{parts['scheme']}:{slashes}{parts['place']}"
    cut = urlsplit(address)
    user, at, _ = cut.netloc.rpartition("@")
    if (at and ":" in user) or any(SECRET_NAME.search(name) for name, _ in parse_qsl(cut.query)):
        raise DataError(
            f"a {parts['scheme']}:// address holds a key or a password, which a run's record would keep: "
            "leave it to the store's own configuration or environment"
        )
    return address


def display_path(path: Path | str) -> str:
    """A path as people write it: an address with both of its slashes."""
    return object_address(path) or str(path)


def path_exists(path: Path | str) -> bool:
    """Whether there is such a file or folder, here or in an object store.

    Raises:
        DataError: the store cannot be reached, or its package is missing.
    """
    address = object_address(path)
    if address is None:
        return Path(path).exists()
    store = _ObjectStore.of(address)
    with store.naming_errors("look for"):
        return bool(store.files.exists(store.place))


def local_copy(path: Path | str) -> Path:
    """The path itself, or a copy of what an address means, fetched unless the same is there.

    Raises:
        DataError: there is nothing, the store cannot be reached, or its package is missing.
        StoreError: the cache cannot be written.
    """
    address = object_address(path)
    if address is None:
        return Path(path)
    return _fetch(_ObjectStore.of(address), cache_folder() / "objects" / _key_of(address))


@contextmanager
def passing_copy(path: Path | str) -> Iterator[Path]:
    """The same for the length of a block, after which nothing of it is kept here.

    Raises:
        DataError: as `local_copy`.
    """
    address = object_address(path)
    if address is None:
        yield Path(path)
        return
    with TemporaryDirectory(prefix="mindscope-") as folder:
        yield _fetch(_ObjectStore.of(address), Path(folder))


class MirroredFolder:
    """A folder of this machine, and the same folder in an object store.

    Work is done here. `pull` brings what is there, `push` puts there what is new, the oldest first: what says
    that other files are finished comes after them, whenever it is cut off. Of a file that was changed on both
    sides since they were last alike, that of the store counts: somebody went on.

    Attributes:
        address: in the object store.
        path: of the folder here.
    """

    def __init__(self, address: str, path: Path | None = None) -> None:
        """A folder for an address; its place here is one of the user's cache by default."""
        self.address, self._store = address, _ObjectStore.of(address)
        self._home = path or cache_folder() / "mirrors" / _key_of(address)
        self.path = self._home / self._store.name
        self._alike: dict[str, tuple[str, str]] = {}
        """By name, the versions there and here when both were last alike."""

    def pull(self) -> None:
        """Make the folder here what it is there, but for what is newer here."""
        self._alike = {
            name: (there, here) for name, (there, here) in _read(self._home / "alike.json").items()
        }
        there = self._store.list_files()
        self.path.mkdir(parents=True, exist_ok=True)
        for name, version in there.items():
            file = self.path / name
            if file.exists() and self._alike.get(name, ("",))[0] == version:
                continue
            self._store.fetch(name, file)
            self._alike[name] = version, _version_of(file)
        for name in set(self._alike) - set(there):
            del self._alike[name]
            (self.path / name).unlink(missing_ok=True)
        self._remember()

    def push(self) -> None:
        """Put there all that is new here, and take away there what is no longer here."""
        versions = {
            file.relative_to(self.path).as_posix(): _version_of(file)
            for file in self.path.rglob("*")
            if file.is_file() and not file.match(TEMPORARY) and file.name != ".lock"
        }
        changed = [name for name, here in versions.items() if self._alike.get(name, ("", ""))[1] != here]
        for name in sorted(changed, key=lambda name: (self.path / name).stat().st_mtime_ns):
            self._alike[name] = self._store.put(self.path / name, name), versions[name]
            self._remember()
        gone = set(self._alike) - set(versions)
        for name in gone:
            self._store.remove(name)
            del self._alike[name]
        if gone:
            self._remember()

    def _remember(self) -> None:
        write_json(self._home / "alike.json", self._alike)


@dataclass(frozen=True)
class _ObjectStore:
    """A file or folder in a store.

    Attributes:
        files: fsspec's file system.
        place: the file or folder, as that calls it.
        address: as people write it.
    """

    files: Any
    place: str
    address: str

    @classmethod
    def of(cls, address: str) -> "_ObjectStore":
        from fsspec import available_protocols
        from fsspec.core import url_to_fs
        from fsspec.registry import known_implementations

        scheme = address.partition(":")[0]
        if scheme not in available_protocols():
            raise DataError(f"{address}: no object store is called {scheme}://")
        try:
            files, place = url_to_fs(address)
        except ImportError:
            package = known_implementations.get(scheme, {}).get("class", scheme).partition(".")[0]
            package = "requests aiohttp" if package == "fsspec" else package  # of http, which is its own
            raise DataError(f"{scheme}:// addresses need another package: pip install {package}") from None
        except Exception as error:  # noqa: BLE001  (every store has errors of its own)
            raise DataError(f"cannot open {address} ({type(error).__name__})") from None
        files.invalidate_cache()  # what others did since this process last looked
        return cls(files, str(place), address)

    @property
    def name(self) -> str:
        """The last part of the address, as a name for the copy here."""
        name = PurePosixPath(urlsplit(self.address).path or urlsplit(self.address).netloc).name
        return "root" if name in ("", "..") else name

    @contextmanager
    def naming_errors(self, verb: str) -> Iterator[None]:
        """What goes wrong with a store in one line, which holds nothing of what its package said."""
        try:
            yield
        except (DataError, StoreError):
            raise
        except FileNotFoundError:
            raise DataError(f"no such file or folder: {self.address}") from None
        except Exception as error:  # noqa: BLE001  (as above)
            raise DataError(
                f"cannot {verb} {self.address} ({type(error).__name__}): look at the store's address, and at "
                "the keys in its package's own configuration or environment"
            ) from None

    def list_files(self) -> dict[str, str]:
        """The version of each file in the folder, by its name there; empty where there is no folder."""
        with self.naming_errors("list"):
            if not self.files.exists(self.place):
                return {}
            found = self.files.find(self.place, detail=True)
        start = self.place.rstrip("/") + "/"
        versions: dict[str, str] = {}
        for place, info in found.items():
            if PurePosixPath(place).match(TEMPORARY):
                continue
            try:  # a bucket may hold any key, also one that leads out of the folder here
                versions[require_inner_path(place.removeprefix(start))] = _version_in(info)
            except ValueError as error:
                raise DataError(f"{self.address} cannot be copied: {error}") from None
        return versions

    def fetch(self, name: str, file: Path) -> None:
        """Copy a file of the folder, or the file itself where the name is empty."""
        with self.naming_errors("read"), replacing(file) as temporary:
            self.files.get_file(f"{self.place}/{name}" if name else self.place, str(temporary))

    def put(self, file: Path, name: str) -> str:
        """Put a file into the folder, whole, and say which version it is there."""
        place = f"{self.place}/{name}"
        folder, _, own = place.rpartition("/")
        scheme = self.address.partition(":")[0]
        with self.naming_errors("write"):
            self.files.makedirs(folder, exist_ok=True)
            if scheme in _RENAMING:
                temporary = f"{folder}/.{own}.{secrets.token_hex(4)}.tmp"
                try:
                    self.files.put_file(str(file), temporary)
                    self.files.mv(temporary, place)
                except BaseException:
                    with suppress(Exception):
                        self.files.rm_file(temporary)
                    raise
            else:
                self.files.put_file(str(file), place)
            self.files.invalidate_cache(folder)
            return _version_in(self.files.info(place))

    def remove(self, name: str) -> None:
        """Take a file out of the folder."""
        with self.naming_errors("change"):
            if self.files.exists(f"{self.place}/{name}"):
                self.files.rm_file(f"{self.place}/{name}")


def _fetch(store: _ObjectStore, home: Path) -> Path:
    """A file or folder of the store under the name that it has there, in a folder of its own here."""
    copy = home / store.name
    with store.naming_errors("read"):
        info = store.files.info(store.place)
    if info.get("type") != "directory":
        version = _version_in(info)
        if not copy.is_file() or _read(home / _LISTING).get("") != version:
            store.fetch("", copy)
            write_json(home / _LISTING, {"": version})
        return copy
    known, there = _read(home / _LISTING), store.list_files()
    for name, version in there.items():
        if known.get(name) != version or not (copy / name).is_file():
            store.fetch(name, copy / name)
    for file in list(copy.rglob("*")) if copy.is_dir() else ():
        if file.is_file() and file.relative_to(copy).as_posix() not in there:
            file.unlink()
    copy.mkdir(parents=True, exist_ok=True)
    write_json(home / _LISTING, there)
    return copy


def _key_of(address: str) -> str:
    """A folder's name for an address."""
    return sha256(address.rstrip("/").encode()).hexdigest()[:16]


def _version_in(info: Mapping[str, Any]) -> str:
    """What tells a file in a store from what stood there before."""
    given = [info[key] for key in (*_VERSIONS, "created") if info.get(key) is not None]
    version = given[0] if given else secrets.token_hex(8)  # then it is fetched each time
    if isinstance(version, datetime):  # as some stores tell the moment of one file, and of many as a number
        version = version.timestamp()
    return f"{info.get('size')} {version}"


def _version_of(file: Path) -> str:
    stat = file.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _read(file: Path) -> dict[str, Any]:
    """What is remembered; nothing where it is not there or damaged, for then all is fetched again."""
    try:
        known = parse_json(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}

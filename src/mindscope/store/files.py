"""Files that are either wholly there or not there at all."""

import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from mindscope.core import parse_exact_json, parse_json
from mindscope.errors import StoreError

TEMPORARY = ".*.tmp"
"""What :func:`replacing` calls a file that is not finished yet; a killed process leaves such files behind."""
_WRITER = re.compile(r"\.(\d+)-[0-9a-f]+\.tmp$")


def temporary_beside(path: Path) -> Path:
    """A name for what is not finished yet, in the same folder: it tells which process is at it."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def is_abandoned(temporary: Path) -> bool:
    """Whether no process is at a file of such a name any longer.

    A process of another machine or container that writes here too has a number that says nothing, so that
    this is no lock: it saves what is being written from whoever tidies up.
    """
    writer = _WRITER.search(temporary.name)
    if writer is None:
        return True
    try:
        os.kill(int(writer[1]), 0)  # signal 0 is sent to nobody
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:  # it lives, as another user's
        return False
    return False


def remove_abandoned(folder: Path) -> None:
    """Remove the unfinished files of processes that were killed; what another one is writing stays."""
    for file in list(folder.rglob(TEMPORARY)):
        if not is_abandoned(file):
            continue
        if file.is_dir():
            shutil.rmtree(file, ignore_errors=True)
        else:
            file.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Hand out a temporary path beside `path`, and give it the name of `path` once the block is through.

    The content is on the disk before the rename, so a crash leaves the old file or the new one. Whatever
    goes wrong inside, the old file stays whole and the temporary one is removed.

    Raises:
        StoreError: the disk is full, the folder is not writable, or the like; an address in an object store.
    """
    from mindscope.store.object_store import object_address  # which writes with what is here

    path = Path(path)
    if object_address(path) is not None:
        raise StoreError(f"{path} is in an object store: only a run's folder, --run, can be written there")
    temporary = temporary_beside(path)
    try:
        _make_parent(path)
        temporary.touch()
        mode = temporary.stat().st_mode
        temporary.unlink()
        yield temporary
        temporary.chmod(mode)  # some writers make files that nobody else can read, whatever the umask
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # no error of tidying up stands before the one that is told
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path | str, *, over: bool = False) -> Iterator[Path]:
    """The same for a folder: hand out an empty temporary one, then give it its name.

    Args:
        path: of the folder.
        over: an older folder of that name makes room once the new one is through.

    Raises:
        StoreError: there is such a folder already, the disk is full, or the like.
    """
    path = Path(path)
    temporary = temporary_beside(path)
    older = temporary.with_suffix(".old")
    try:
        _make_parent(path)
        temporary.mkdir()
        yield temporary
        for file in temporary.rglob("*"):
            _sync(file)
        if over and path.is_dir():
            path.rename(older)
        try:
            temporary.rename(path)
        except OSError:
            if older.exists():
                older.rename(path)
            raise
        _sync(path.parent)
        shutil.rmtree(older, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _make_parent(path: Path) -> None:
    """StoreError where a file stands in a folder's place, which the system calls "File exists"."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next((above for above in path.parents if above.is_file()), path.parent)
        raise StoreError(f"cannot write {path}: {file} is a file and no folder") from None


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8, atomically. A lone surrogate becomes its escape, which JSON reads back."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as JSON, atomically. Takes what :func:`plain` takes."""
    write_text(path, json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path | str, *, exact: bool = True) -> Any:
    """Read a JSON file.

    Args:
        path: of the file.
        exact: it can be read in one way only, as what :func:`write_json` wrote (see `core.parse_exact_json`);
            False for files of other programs, which may hold NaN.

    Raises:
        StoreError: the file is absent, unreadable, or not JSON; a key is given twice or a number is none.
    """
    from mindscope.store.object_store import local_copy  # which writes with what is here

    path = local_copy(path)
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark of its order
        return parse_exact_json(text) if exact else parse_json(text)
    except FileNotFoundError:
        raise StoreError(f"no such file: {path}") from None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise StoreError(
            f"{path} is not JSON ({error}): give another file, or restore it from a copy"
        ) from None


def plain(value: Any) -> Any:
    """Turn models, dataclasses, paths, tuples and numpy scalars into what JSON holds.

    Raises:
        StoreError: something inside cannot be written, or is NaN or infinite, which JSON does not know.
    """
    try:
        value = to_jsonable_python(value, fallback=_scalar)
    except (PydanticSerializationError, ValueError) as error:
        raise StoreError(f"cannot be written as JSON: {error}") from None
    if (place := _not_finite(value)) is not None:
        raise StoreError(f"cannot be written as JSON: {place or 'the value'} is NaN or infinite; write null")
    return value


def _scalar(value: Any) -> Any:
    """Numpy scalars and arrays (and tensors) hand themselves over as numbers and lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise ValueError(f"a {type(value).__name__} has no JSON form")


def _not_finite(value: Any, place: str = "") -> str | None:
    """Name the first number in `value` that JSON cannot hold."""
    if isinstance(value, float):
        return None if math.isfinite(value) else place
    if isinstance(value, dict):
        inside = ((f"{place}.{key}".lstrip("."), item) for key, item in value.items())
    elif isinstance(value, list):
        inside = ((f"{place}[{index}]", item) for index, item in enumerate(value))
    else:
        return None
    places = (_not_finite(item, where) for where, item in inside)
    return next((bad for bad in places if bad is not None), None)


def _sync(path: Path) -> None:
    """Push a file, or the names in a folder, down to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Named tensors in safetensors files, written atomically, and what a file is that cannot be read as one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindscope.errors import StoreError
from mindscope.store.files import replacing
from mindscope.store.object_store import local_copy

if TYPE_CHECKING:
    from torch import Tensor

PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors of any device and layout. The same values give the same bytes."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with replacing(path) as temporary:
        try:
            save_file(_separate(tensors), temporary, metadata=dict(metadata))
        except SafetensorError as error:  # the library wraps what the disk said
            raise StoreError(f"cannot write {path}: {error}") from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read every tensor onto the CPU, and the metadata of the file.

    Raises:
        StoreError: the file is absent, or is not (or not wholly) a safetensors file.
    """
    file, metadata = opened_tensors(path)
    with file:
        return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118


def opened_tensors(path: Path) -> tuple[Any, dict[str, str]]:
    """The library's handle of a file, whose tensors are still on disk, and the metadata of the file.

    Raises:
        StoreError: as `read_tensors`.
    """
    from safetensors import SafetensorError, safe_open

    path = local_copy(path)
    if not path.is_file():
        raise StoreError(
            f"{path} is a folder, a file is needed" if path.is_dir() else f"no such file: {path}"
        )
    try:
        file = safe_open(path, framework="pt")
        return file, file.metadata() or {}
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
    except (SafetensorError, ValueError, RuntimeError, KeyError):
        raise StoreError(f"{path} {what_it_is(path)}") from None


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous CPU tensors that share no memory, as the format wants them."""
    result: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        if (storage := tensor.untyped_storage().data_ptr()) in storages:
            tensor = tensor.clone()
        storages.add(storage)
        result[name] = tensor
    return result


def require_content(path: Path) -> None:
    """Look at the beginning of a file before anything long is begun for it; folders are not looked into.

    Raises:
        StoreError: it is empty, a Git LFS pointer, a web page, cannot be read, or has the ending of tensors
            and holds something else.
    """
    path = local_copy(path)
    if path.is_dir():
        return
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from None
    if reason := _no_content(head):
        raise StoreError(f"{path} {reason}")
    if path.suffix == ".safetensors":
        opened_tensors(path)


def _no_content(head: bytes) -> str | None:
    if not head:
        return "is empty: copy or make it again"
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself: run `git lfs pull`"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page: download the file itself"
    return None


def what_it_is(path: Path, wanted: str = "safetensors", default: str = "") -> str:
    """Say what a file is that cannot be read as what is `wanted`, and what to do; else `default`."""
    with path.open("rb") as file:
        head = file.read(512)
    if reason := _no_content(head):
        return reason
    if head.startswith(b"GGUF"):
        return f"is a GGUF file, a .{wanted} file is needed"
    if wanted == "safetensors" and head.startswith((b"PK\x03\x04", *PICKLES)):
        return "is a pickle, which can run code and is never opened: save it again as .safetensors"
    return default or "is cut short, damaged, or no safetensors file: copy or make it again"

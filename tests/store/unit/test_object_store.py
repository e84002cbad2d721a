"""Files of an object store are copied here once, and folders mirrored there; fsspec's own stores stand in."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from mindscope.core import CACHE_VARIABLE
from mindscope.errors import DataError, StoreError
from mindscope.store import (
    MirroredFolder,
    Run,
    display_path,
    local_copy,
    object_address,
    passing_copy,
    path_exists,
    write_json,
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture(params=["memory", "file"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder of an object store."""
    if request.param == "file":
        yield f"file://{tmp_path / 'store'}"
        return
    folder = f"memory://bucket-{uuid.uuid4().hex}/runs"
    yield folder
    MemoryFileSystem().rm(folder, recursive=True)


def put(address: str, text: str) -> None:
    files, place = fsspec.url_to_fs(address)
    files.makedirs(place.rpartition("/")[0], exist_ok=True)
    files.pipe_file(place, text.encode())


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_an_address_survives_a_path() -> None:
    for written in ("s3://bucket/key.jsonl", "file:///data/key.jsonl", "abfs://box@account.example/key"):
        assert object_address(written) == object_address(Path(written)) == written
        assert display_path(Path(written)) == written
    for plain in ("runs/evil", "/data/x", "organism:sae.2", "OWNER/NAME", "model:OWNER/NAME", "a/b:c/d"):
        assert object_address(plain) is None
        assert local_copy(plain) == Path(plain)


def test_what_is_read_is_fetched_once_and_again_where_it_changed(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    for kind in (MemoryFileSystem, LocalFileSystem):
        plain = kind.get_file

        def get_file(self: Any, place: str, *args: Any, plain: Any = plain, **options: Any) -> Any:
            fetched.append(place.rpartition("/")[2])
            return plain(self, place, *args, **options)

        monkeypatch.setattr(kind, "get_file", get_file)
    put(f"{address}/a.jsonl", "one")
    put(f"{address}/deep/b.jsonl", "two")
    file = local_copy(f"{address}/a.jsonl")
    assert (file.name, file.read_text()) == ("a.jsonl", "one")
    folder = local_copy(Path(address))
    assert names_in(folder) == {"a.jsonl", "deep/b.jsonl"}
    assert local_copy(address) == folder
    assert sorted(fetched) == ["a.jsonl", "a.jsonl", "b.jsonl"]
    put(f"{address}/a.jsonl", "another")
    files, place = fsspec.url_to_fs(address)
    files.rm_file(f"{place}/deep/b.jsonl")
    assert local_copy(f"{address}/a.jsonl").read_text() == "another"
    assert names_in(local_copy(address)) == {"a.jsonl"}
    with passing_copy(f"{address}/a.jsonl") as passing:
        assert passing.read_text() == "another"
    assert not passing.exists()
    assert path_exists(Path(address) / "a.jsonl")
    assert not path_exists(f"{address}/b.jsonl")
    with pytest.raises(DataError, match=rf"no such file or folder: {address}/b.jsonl"):
        local_copy(f"{address}/b.jsonl")


def test_a_run_goes_on_elsewhere_with_what_it_left_in_the_store(address: str, tmp_path: Path) -> None:
    def open_run(mirror: MirroredFolder) -> Run:
        mirror.pull()
        return Run.open(mirror.path, kind="test", config={"a": 1}, mirror=mirror)

    first = MirroredFolder(address, tmp_path / "first")
    run = open_run(first)
    run.save_json("shards/0.json", [0])
    (run.path / "page.html").write_text("not yet")  # written past the run, which is then killed
    run._lock.close()
    assert names_in(local_copy(address)) == {"run.json", "shards/0.json"}

    second = MirroredFolder(address, tmp_path / "second")
    with open_run(second) as run:
        assert run.resumed
        assert run.load_json("shards/0.json") == [0]
        run.save_json("shards/1.json", [1])
        run.save_json("old.json", [])
        (run.path / "page.html").write_text("all")
        (run.path / "old.json").unlink()
    assert names_in(local_copy(address)) == {"run.json", "shards/0.json", "shards/1.json", "page.html"}

    with open_run(first) as run:  # where it began, what the other did counts
        assert run.load_json("shards/1.json") == [1]
        assert (run.path / "page.html").read_text() == "all"


def test_a_file_that_was_changed_here_alone_is_kept(address: str, tmp_path: Path) -> None:
    mirror = MirroredFolder(address, tmp_path / "here")
    mirror.pull()
    write_json(mirror.path / "a.json", 1)
    write_json(mirror.path / "b.json", 1)
    mirror.push()
    write_json(mirror.path / "a.json", [2, 2])
    write_json(mirror.path / "b.json", [2, 2])
    put(f"{address}/b.json", "[3, 3, 3]")
    again = MirroredFolder(address, tmp_path / "here")
    again.pull()
    again.push()
    copy = local_copy(address)
    assert ((copy / "a.json").read_text().split(), (copy / "b.json").read_text()) == (
        ["[", "2,", "2", "]"],
        "[3, 3, 3]",
    )


def test_what_was_written_first_is_put_there_first(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a note that names other files is never there without them."""
    mirror = MirroredFolder(address, tmp_path / "here")
    mirror.pull()
    for number, name in enumerate(("z.json", "m.json", "a.json")):
        write_json(mirror.path / name, 1)
        os.utime(mirror.path / name, ns=(number, number))
    n_put: list[str] = []
    plain = type(mirror._store).put

    def put_one(self: Any, file: Path, name: str) -> str:
        n_put.append(name)
        if len(n_put) == 3:
            raise KeyboardInterrupt
        return plain(self, file, name)

    monkeypatch.setattr(type(mirror._store), "put", put_one)
    with pytest.raises(KeyboardInterrupt):
        mirror.push()
    assert n_put == ["z.json", "m.json", "a.json"]
    assert names_in(local_copy(address)) == {"z.json", "m.json"}


def test_no_key_leads_out_of_the_folder_here() -> None:
    address = f"memory://bucket-{uuid.uuid4().hex}"
    files = MemoryFileSystem()
    files.pipe_file(f"{address.removeprefix('memory:/')}/a/../../../out.json", b"1")
    try:
        with pytest.raises(DataError, match="names nothing inside the folder"):
            local_copy(address)
    finally:
        files.rm(address, recursive=True)


def test_a_file_system_never_shows_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"file://{tmp_path / 'store'}"
    put(f"{address}/a.json", "old")
    mirror = MirroredFolder(address, tmp_path / "here")
    mirror.pull()

    def die(self: Any, source: str, target: str, **options: Any) -> None:
        Path(target).write_text("ha")
        raise OSError("the disk is full, says key=hidden")

    monkeypatch.setattr(LocalFileSystem, "put_file", die)
    write_json(mirror.path / "a.json", "new")
    with pytest.raises(DataError, match=r"cannot write .*store \(OSError\)") as caught:
        mirror.push()
    assert "hidden" not in str(caught.value)  # what a package says may hold a key
    assert (tmp_path / "store" / "a.json").read_text() == "old"
    assert names_in(tmp_path / "store") == {"a.json"}  # nothing is left of the other


def test_what_cannot_be_done_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for address in ("s3://me:hidden@bucket/key", "https://host/file?X-Amz-Signature=hidden"):
        with pytest.raises(DataError, match="holds a key or a password") as caught:
            local_copy(address)
        assert "hidden" not in str(caught.value)
    with pytest.raises(DataError, match="no object store is called nothing://"):
        local_copy("nothing://bucket/key")

    def lacking(address: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", lacking)
    with pytest.raises(DataError, match="s3:// addresses need another package: pip install s3fs"):
        path_exists("s3://bucket/key")
    with pytest.raises(StoreError, match="only a run's folder, --run, can be written there"):
        write_json(Path("memory://bucket/page.json"), 1)

"""A folder is a library, and so is the same folder behind any server that hands out files."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import case_kit
import pytest

from mindscope.errors import DataError, StoreError
from mindscope.library import LibraryShelf, write_index


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object, **__: object) -> None:
        pass


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def folder(tmp_path) -> Path:
    library = tmp_path / "cases"
    library.mkdir()
    case_kit.write_small_case(library / "one.case")
    case_kit.write_small_case(library / "two.case", title="another", verdict=None)
    (library / "other.txt").write_text("is no case")
    return library


def test_a_folder_and_a_server_say_the_same_and_hand_out_the_same(folder, tmp_path):
    by_folder = LibraryShelf(str(folder)).read_index()
    assert [(entry.file, entry.title) for entry in by_folder.cases] == [
        ("one.case", "why Sacramento"),
        ("two.case", "another"),
    ]
    write_index(folder)
    told = []
    with serving(partial(QuietHandler, directory=str(folder))) as address:
        shelf = LibraryShelf(f"{address}/")
        assert shelf.read_index() == by_folder
        shelf.fetch("one", tmp_path / "got.case", 2**20, lambda *progress: told.append(progress))
        with pytest.raises(DataError, match="no case 'three'"):
            shelf.fetch("three", tmp_path / "got.case", 2**20)
        with pytest.raises(DataError, match="--most-bytes"):
            shelf.fetch("one", tmp_path / "large.case", 100)
    assert (tmp_path / "got.case").read_bytes() == (folder / "one.case").read_bytes()
    assert not (tmp_path / "large.case").exists()
    assert told[-1][0] == told[-1][1] == by_folder.cases[0].bytes
    LibraryShelf(str(folder)).fetch("two.case", tmp_path / "copy.case", 2**20)
    assert (tmp_path / "copy.case").read_bytes() == (folder / "two.case").read_bytes()


def test_what_is_not_what_the_index_says_is_not_kept(folder, tmp_path):
    write_index(folder)
    case_kit.write_small_case(folder / "one.case", notes=("changed later",))
    with (
        serving(partial(QuietHandler, directory=str(folder))) as address,
        pytest.raises(StoreError, match="is not what the index says"),
    ):
        LibraryShelf(address).fetch("one", tmp_path / "got.case", 2**20)
    assert not (tmp_path / "got.case").exists()


@pytest.mark.parametrize("file", ["../secret.case", "/etc/passwd", "a/b.case", ".hidden.case", "one.zip"])
def test_an_index_that_leads_elsewhere_is_none(folder, tmp_path, file):
    write_index(folder)
    document = json.loads((folder / "library.json").read_text())
    document["cases"][0]["file"] = file
    (folder / "library.json").write_text(json.dumps(document))
    with (
        serving(partial(QuietHandler, directory=str(folder))) as address,
        pytest.raises(StoreError, match="is not the index of a library"),
    ):
        LibraryShelf(address).read_index()


@pytest.mark.parametrize("content", [b"", b"<html>", b"[" * 100_000, b"{}", b"\xff\xfe", b"null", b"[1]"])
def test_any_other_reply_is_told_in_one_line(content):
    class Handler(QuietHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

    with (
        serving(Handler) as address,
        pytest.raises(StoreError, match="is not the index of a library") as caught,
    ):
        LibraryShelf(address).read_index()
    assert "\n" not in str(caught.value)


def test_no_redirection_is_followed_and_nothing_is_sent_but_the_request():
    asked: list[tuple[str, list[str]]] = []

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            asked.append((self.path, sorted(name.lower() for name in self.headers)))
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

    with (
        serving(Handler) as address,
        pytest.raises(StoreError, match="answers 302, and points to /elsewhere"),
    ):
        LibraryShelf(f"{address}/cases").read_index()
    assert asked == [("/cases/library.json", ["accept-encoding", "connection", "host", "user-agent"])]


def test_a_server_that_is_gone_and_one_that_breaks_off(folder, tmp_path):
    with (
        serving(partial(QuietHandler, directory=str(folder))) as address,
        pytest.raises(StoreError, match="answers 404"),
    ):  # there is no index yet
        LibraryShelf(address).read_index()
    with pytest.raises(StoreError, match="is the server running"):
        LibraryShelf(address).read_index()

    index = write_index(folder)

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if self.path.endswith(".json"):
                self.end_headers()
                self.wfile.write((folder / "library.json").read_bytes())
                return
            self.send_header("Content-Length", str(index.cases[0].bytes))
            self.end_headers()
            self.wfile.write((folder / "one.case").read_bytes()[:100])

    with (
        serving(Handler) as address,
        pytest.raises(StoreError, match=r"broke off|is not what the index says"),
    ):
        LibraryShelf(address).fetch("one", tmp_path / "got.case", 2**20)
    assert [*tmp_path.glob("*got*")] == []


@pytest.mark.parametrize(
    "place", ["http://", "https://me:secret@host/x", "http://host/x?key=1", "absent", "ftp://host"]
)
def test_places_that_are_none(place):
    with pytest.raises(DataError) as caught:
        LibraryShelf(place)
    assert "secret" not in str(caught.value)

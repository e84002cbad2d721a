"""JSON and text: what is written is what is read."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mindscope.errors import StoreError
from mindscope.store import replacing_folder, write_json, write_text
from mindscope.store.files import plain, read_json

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_json_round_trip(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "x.json"
    write_json(path, value)
    assert read_json(path) == value


def test_plain_values():
    @dataclasses.dataclass
    class Settings:
        where: Path
        layers: tuple[int, ...]

    assert plain(Settings(Path("a/b"), (1, 2))) == {"where": "a/b", "layers": [1, 2]}
    assert plain({"a": np.float32(0.5), "b": np.arange(2), "c": torch.tensor([1.5])}) == {
        "a": 0.5,
        "b": [0, 1],
        "c": [1.5],
    }


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), np.float32("nan"), torch.tensor([0.0, float("nan")])]
)
def test_not_finite_is_refused_and_placed(tmp_path, value):
    with pytest.raises(StoreError, match=r"scores\[0\].*is NaN or infinite"):
        write_json(tmp_path / "x.json", {"scores": [value]})
    assert not list(tmp_path.iterdir())


def test_what_has_no_json_form_is_refused(tmp_path):
    with pytest.raises(StoreError, match="cannot be written as JSON"):
        write_json(tmp_path / "x.json", {"f": object()})


def test_lone_surrogates_survive(tmp_path):
    write_json(tmp_path / "x.json", {"text": "a\ud800b"})
    assert read_json(tmp_path / "x.json") == {"text": "a\ud800b"}


def test_an_older_folder_makes_room_only_where_it_may(tmp_path):
    folder = tmp_path / "model"
    for text in ("old", "new"):
        with replacing_folder(folder, over=True) as temporary:
            (temporary / text).write_text(text)
    assert [file.name for file in folder.iterdir()] == ["new"]
    with pytest.raises(StoreError, match="cannot write"), replacing_folder(folder) as temporary:
        (temporary / "third").write_text("third")
    with pytest.raises(ValueError, match="half"), replacing_folder(folder, over=True) as temporary:
        raise ValueError("half of it is written")
    assert [file.name for file in folder.iterdir()] == ["new"]
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_a_file_that_an_editor_marked_is_read(tmp_path):
    """Notepad and PowerShell begin a file in UTF-8 with a mark of the byte order."""
    file = tmp_path / "settings.json"
    file.write_bytes(b'\xef\xbb\xbf{"steps": 3}\r\n')
    assert read_json(file) == read_json(file, exact=False) == {"steps": 3}


def test_unreadable_json(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(StoreError, match="not JSON"):
        read_json(tmp_path / "x.json")
    with pytest.raises(StoreError, match="no such file"):
        read_json(tmp_path / "y.json")


@pytest.mark.parametrize("name", ["plain/x.json", "plain/deeper/x.json"])
def test_a_file_where_a_folder_is_wanted_is_named(tmp_path, name):
    (tmp_path / "plain").touch()
    said = f"cannot write {tmp_path / name}: {tmp_path / 'plain'} is a file and no folder"
    with pytest.raises(StoreError, match=re.escape(said)):
        write_json(tmp_path / name, {})
    with pytest.raises(StoreError, match=re.escape(said)), replacing_folder(tmp_path / name):
        pass


def test_folders_are_made_and_text_is_utf8(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "é\n中")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "é\n中".encode()
    write_json(tmp_path / "c.json", {"é": 1})
    assert json.loads((tmp_path / "c.json").read_text("utf-8")) == {"é": 1}
